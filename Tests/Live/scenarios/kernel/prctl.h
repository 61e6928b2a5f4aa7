/* security_task_prctl: above all the memory map that PR_SET_MM changes. */
#include "known.h"

#include <linux/prctl.h>

struct map {
	unsigned long start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
	unsigned long arg_start, arg_end, env_start, env_end;
	void *auxv;
	unsigned int auxv_size, exe_fd;
};

/* From /proc/self/stat, where the fields behind the name are counted from 3. */
static struct map own_map(void)
{
	struct map map = { .exe_fd = -1 };
	const char *text = strrchr(get_setting("/proc/self/stat"), ')') + 1;

	for (int field = 3; *text; field++) {
		unsigned long value;
		char *end;

		text += strspn(text, " ");
		value = strtoul(text, &end, 10);
		text += strcspn(text, " ");
		switch (field) {
		case 26: map.start_code = value; break;
		case 27: map.end_code = value; break;
		case 28: map.start_stack = value; break;
		case 45: map.start_data = value; break;
		case 46: map.end_data = value; break;
		case 47: map.start_brk = value; break;
		case 48: map.arg_start = value; break;
		case 49: map.arg_end = value; break;
		case 50: map.env_start = value; break;
		case 51: map.env_end = value; break;
		}
	}
	map.brk = call(SYS_brk, 0);
	return map;
}

#define MAP(when, m)                                                                               \
	POINTER(when "_start_code", (m).start_code), POINTER(when "_end_code", (m).end_code),      \
		POINTER(when "_start_data", (m).start_data), POINTER(when "_end_data", (m).end_data), \
		POINTER(when "_start_brk", (m).start_brk), POINTER(when "_brk", (m).brk),          \
		POINTER(when "_start_stack", (m).start_stack),                                     \
		POINTER(when "_arg_start", (m).arg_start), POINTER(when "_arg_end", (m).arg_end),  \
		POINTER(when "_env_start", (m).env_start), POINTER(when "_env_end", (m).env_end)
#define ARGUMENTS(option, a, b, c, d)                                                              \
	INT("option", option), UINT("arg2", a), UINT("arg3", b), UINT("arg4", c), UINT("arg5", d)

static void set_all(void)
{
	static const char name[] = "apus-prctl";
	char path[256] = "";
	struct map map = own_map(), changed;
	struct identity id;
	void *page;
	int fd;

	call(SYS_prctl, PR_SET_NAME, name, 0, 0, 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_NAME, name, 0, 0, 0));

	/* Where the kernel refuses, the check came first. */
	about("PR_SET_MM_ARG_START");
	call(SYS_prctl, PR_SET_MM, PR_SET_MM_ARG_START, map.arg_start + 1, 0, 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_MM, PR_SET_MM_ARG_START, map.arg_start + 1, 0, 0),
	     MAP("old", map), POINTER("new_arg_start", map.arg_start + 1));

	about("PR_SET_MM_MAP");
	map = own_map();
	changed = map;
	changed.arg_end--;
	changed.env_start++;
	call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &changed, sizeof(changed), 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_MM, PR_SET_MM_MAP, &changed, sizeof(changed), 0),
	     MAP("old", map), MAP("new", changed));

	about("PR_SET_MM_EXE_FILE");
	map = own_map();
	fd = new_file(at_home("new-exe"), "#!");
	id = identity_of(fd);
	must("readlink", call(SYS_readlink, "/proc/self/exe", path, sizeof(path) - 1));
	call(SYS_prctl, PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0),
	     MAP("old", map), STRING("old_pathname", path), UINT("old_inode", identity(path).inode),
	     STRING("new_pathname", at_home("new-exe")), UINT("new_dev", id.dev),
	     UINT("new_inode", id.inode), UINT("new_ctime", id.ctime), UINT("new_inode_mode", id.mode));
	call(SYS_close, fd);

	about("PR_SET_VMA_ANON_NAME");
	page = (void *)must("mmap", call(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
					 -1, 0));
	call(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, 4096, "apus memory");
	seen("security_task_prctl", INT("option", PR_SET_VMA), UINT("arg2", PR_SET_VMA_ANON_NAME),
	     UINT("arg3", page), UINT("arg4", 4096), STRING("vma_name", "apus memory"));

	about("PR_SET_SECUREBITS");
	call(SYS_prctl, PR_SET_SECUREBITS, 1 << 6 /* no ambient capabilities */, 0, 0, 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_SECUREBITS, 1 << 6, 0, 0, 0),
	     UINT("old_securebits", 0));
	call(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);
	seen("security_task_prctl", ARGUMENTS(PR_SET_SECUREBITS, 0, 0, 0, 0),
	     UINT("old_securebits", 1 << 6));
	about(NULL);
}

static void security_task_prctl(void)
{
	in_child(set_all);
}
