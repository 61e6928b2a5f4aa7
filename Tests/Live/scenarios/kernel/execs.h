/* Programs that are executed, or are not. */
#include "known.h"

#include <elf.h>

static char self[256]; /* our own program: `kernel exit` does nothing */

/* The least program: one that exits with 0. With an interpreter it is that which runs. */
static void write_elf(const char *path, const char *interpreter, int type)
{
	static const unsigned char leave[] = { 0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05 };
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr parts[2];
		char interpreter[256];
		unsigned char code[16];
	} file = { 0 };
	unsigned long base = type == ET_DYN ? 0 : 0x400000;
	int fd = must(path, call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));

	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = type;
	file.header.e_machine = EM_X86_64;
	file.header.e_version = EV_CURRENT;
	file.header.e_entry = base + offsetof(typeof(file), code);
	file.header.e_phoff = offsetof(typeof(file), parts);
	file.header.e_ehsize = sizeof(Elf64_Ehdr);
	file.header.e_phentsize = sizeof(Elf64_Phdr);
	file.header.e_phnum = interpreter ? 2 : 1;
	/* Writable, as older kernels clear the rest of a loader's last page. */
	file.parts[interpreter ? 1 : 0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_vaddr = base, .p_paddr = base,
		.p_filesz = sizeof(file), .p_memsz = sizeof(file), .p_align = 0x1000,
	};
	if (interpreter) {
		strcpy(file.interpreter, interpreter);
		file.parts[0] = (Elf64_Phdr){
			.p_type = PT_INTERP, .p_flags = PF_R,
			.p_offset = offsetof(typeof(file), interpreter),
			.p_filesz = strlen(interpreter) + 1,
		};
	}
	memcpy(file.code, leave, sizeof(leave));
	must(path, call(SYS_write, fd, &file, sizeof(file)));
	call(SYS_close, fd);
}

static const char *const environment[] = { "APUS=1", "EMPTY=", NULL };

/* The child becomes the program; the parent waits and speaks for it. */
static int execute(const char *path, const char *const *arguments)
{
	int pid = must("fork", call(SYS_fork));

	if (pid == 0) {
		call(SYS_execve, path, arguments, environment);
		quit(1);
	}
	if (wait_for(pid))
		die(path, 0);
	return pid;
}

static void speak_for(int pid)
{
	as_pid = as_tid = pid;
}

static void security_bprm_check(void)
{
	const char *const direct[] = { "any name", "exit", "two words", "", NULL };
	const char *const script[] = { "script", "a", NULL };
	const char *path = at_home("script");
	char text[300];
	int own = as_pid;

	speak_for(execute(self, direct));
	about("program");
	seen("security_bprm_check", STRING("pathname", self), NODE(identity(self)),
	     STRINGS("argv", direct), STRINGS("envp", environment));

	snprintf(text, sizeof(text), "#!%s exit\n", self);
	write_file(path, text);
	speak_for(execute(path, script));
	about("script");
	seen("security_bprm_check", STRING("pathname", path), NODE(identity(path)),
	     STRINGS("argv", script), STRINGS("envp", environment));
	about("its interpreter"); /* argv is still the call's */
	seen("security_bprm_check", STRING("pathname", self), NODE(identity(self)),
	     STRINGS("argv", script), STRINGS("envp", environment));
	about(NULL);
	speak_for(own);
}

#define LOADED(path)                                                                               \
	seen("load_elf_phdrs", STRING("pathname", path), NODE(identity(path)))

static void load_elf_phdrs(void)
{
	const char *program = at_home("small"), *linked = at_home("linked"), *linker = at_home("ld.so");
	const char *const arguments[] = { "small", NULL };
	int own = as_pid;

	write_elf(program, NULL, ET_EXEC);
	write_elf(linker, NULL, ET_DYN);
	write_elf(linked, linker, ET_EXEC);
	speak_for(execute(program, arguments));
	about("static");
	LOADED(program);
	speak_for(execute(linked, arguments));
	about("with an interpreter");
	LOADED(linked);
	LOADED(linker);
	about(NULL);
	speak_for(own);
}

/* Tries to become that file, in a process that has /dev/null as its input. */
static void fail_to_execute(const char *path, const char *interpreter, long expected, bool at_descriptor)
{
	const char *const arguments[] = { "will", "not", "run", NULL };
	struct identity id = identity(path);
	int directory = must("open", call(SYS_openat, AT_FDCWD, home, O_RDONLY | O_DIRECTORY));
	const char *name = strrchr(path, '/') + 1;
	long n;

	if (at_descriptor)
		n = call(SYS_execveat, directory, name, arguments, environment, 0);
	else
		n = call(SYS_execve, path, arguments, environment);
	if (n != expected)
		die(path, n);
#define FAILED                                                                                     \
	STRING("binary.path", path), UINT("binary.device_id", id.dev),                             \
		UINT("binary.inode_number", id.inode), UINT("binary.ctime", id.ctime),             \
		UINT("binary.inode_mode", id.mode), STRING("stdin_path", "/dev/null"),             \
		INT("kernel_invoked", 0), STRINGS("argv", arguments),                              \
		STRINGS("envp", environment), INT("returnValue", n)
	if (at_descriptor)
		seen("process_execute_failed", INT("dirfd", directory), INT("flags", 0), FAILED);
	else
		seen("process_execute_failed", STRING("pathname", path),
		     STRING("interpreter_path", interpreter), FAILED);
	call(SYS_close, directory);
}

static void fail_to_execute_all(void)
{
	const char *garbage = at_home("garbage"), *script = at_home("orphan-script");
	const char *program = at_home("orphan"), *missing = at_home("no-such-program");
	const char *const arguments[] = { "missing", NULL };
	int null = must("open", call(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY));

	must("dup2", call(SYS_dup2, null, 0));
	call(SYS_close, null);
	write_file(garbage, "This is no program.\n");
	write_file(script, "#!/no/such/interpreter\n");
	write_elf(program, "/no/such/loader", ET_EXEC);
	about("no format");
	fail_to_execute(garbage, garbage, -ENOEXEC, false);
	about("script without its interpreter");
	fail_to_execute(script, "/no/such/interpreter", -ENOENT, false);
	about("program without its loader");
	fail_to_execute(program, program, -ENOENT, false);
	about("execveat");
	fail_to_execute(garbage, NULL, -ENOEXEC, true);
	about("no file");
	if (call(SYS_execve, missing, arguments, environment) != -ENOENT)
		die(missing, 0);
	never("process_execute_failed", STRING("pathname", missing));
}

static void process_execute_failed(void)
{
	in_child(fail_to_execute_all);
}
