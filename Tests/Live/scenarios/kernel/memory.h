/* Mappings and their protections. */
#include "known.h"

#define PAGE 4096ul
#define RX   (PROT_READ | PROT_EXEC)
#define RW   (PROT_READ | PROT_WRITE)
#define RWX  (PROT_READ | PROT_WRITE | PROT_EXEC)

/* Between pages of nothing, so that the kernel merges it with no neighbour. */
static char *map_page(int prot, int fd)
{
	char *area = (char *)must("mmap", call(SYS_mmap, NULL, 3 * PAGE, PROT_NONE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	return (char *)must("mmap", call(SYS_mmap, area + PAGE, PAGE, prot,
					 MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0),
					 fd, 0));
}

static const char *mapped_path;
static struct identity mapped;

static void alert(int code, char *page, int prot, int before, int fd)
{
	if (fd < 0)
		seen("mem_prot_alert", UINT("alert", code), POINTER("addr", page), UINT("len", PAGE),
		     INT("prot", prot), INT("prev_prot", before));
	else
		seen("mem_prot_alert", UINT("alert", code), POINTER("addr", page), UINT("len", PAGE),
		     INT("prot", prot), INT("prev_prot", before), STRING("pathname", mapped_path),
		     IDENTITY(mapped));
}

static void alerts(int fd)
{
	static const struct {
		int before, after, code;
	} changes[] = {
		{ PROT_READ, RX, 2 },  { RW, RWX, 2 }, { PROT_NONE, RX, 2 },
		{ RX, RWX, 3 },	       { RW, RX, 4 },  { RWX, RX, 4 }, /* the last rule wins */
	};
	char *page;

	/* The check of an address knows no file and no protection from before. */
	page = (char *)must("mmap", call(SYS_mmap, NULL, PAGE, RWX,
					 MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0));
	seen("mem_prot_alert", UINT("alert", 1), POINTER("addr", page), UINT("len", PAGE),
	     INT("prot", RWX));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		page = map_page(changes[i].before, fd);
		must("mprotect", call(SYS_mprotect, page, PAGE, changes[i].after));
		alert(changes[i].code, page, changes[i].after, changes[i].before, fd);
	}
	page = map_page(RW, fd);
	must("pkey_mprotect", call(SYS_pkey_mprotect, page, PAGE, RX, -1));
	alert(4, page, RX, RW, fd);
	must("mprotect", call(SYS_mprotect, page, PAGE, PROT_READ));
	never("mem_prot_alert", POINTER("addr", page), INT("prot", PROT_READ));
	page = map_page(PROT_READ, fd);
	must("mprotect", call(SYS_mprotect, page, PAGE, RW));
	never("mem_prot_alert", POINTER("addr", page), INT("prot", RW));
}

static void mem_prot_alert(void)
{
	int fd = new_file(mapped_path = at_home("protected"), "content");

	mapped = identity_of(fd);
	about("anonymous");
	alerts(-1);
	about("file");
	alerts(fd);
	about(NULL);
	call(SYS_close, fd);
}

static void security_mmap_file(void)
{
	const char *path = at_home("mapped");
	int fd;

	call(SYS_close, new_file(path, "content"));
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDWR));
	mapped = identity_of(fd);
	for (int i = 0; i < 2; i++) {
		int prot = i ? RX : PROT_READ, flags = i ? MAP_PRIVATE : MAP_SHARED;

		must("mmap", call(SYS_mmap, NULL, PAGE, prot, flags, fd, 0));
		seen("security_mmap_file", STRING("pathname", path), INT("flags", O_RDWR | 0100000),
		     IDENTITY(mapped), UINT("prot", prot), UINT("mmap_flags", flags));
	}
	call(SYS_close, fd);
}

static void shared_object_loaded(void)
{
	const char *path = at_home("lib.so"), *data = at_home("data");
	int fd;

	call(SYS_close, new_file(path, "content"));
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDONLY));
	mapped = identity_of(fd);
	must("mmap", call(SYS_mmap, NULL, PAGE, RX, MAP_PRIVATE, fd, 0));
	seen("shared_object_loaded", STRING("pathname", path), INT("flags", 0100000), IDENTITY(mapped));
	call(SYS_close, fd);

	fd = new_file(data, "content");
	must("mmap", call(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	never("shared_object_loaded", STRING("pathname", data));
	call(SYS_close, fd);
}

static void do_mmap(void)
{
	const char *path = at_home("do_mmap");
	int fd, flags = MAP_PRIVATE | MAP_FIXED;
	char *page = map_page(PROT_NONE, -1);

	seen("do_mmap", POINTER("addr", page), UINT("pgoff", 0), UINT("len", PAGE), UINT("prot", 0),
	     UINT("mmap_flags", flags | MAP_ANONYMOUS));
	call(SYS_close, new_file(path, "content"));
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDONLY));
	mapped = identity_of(fd);
	must("mmap", call(SYS_mmap, page, PAGE, PROT_READ, flags, fd, PAGE));
	seen("do_mmap", POINTER("addr", page), STRING("pathname", path), UINT("flags", 0100000),
	     IDENTITY(mapped), UINT("pgoff", 1), UINT("len", PAGE), UINT("prot", PROT_READ),
	     UINT("mmap_flags", flags));
	call(SYS_close, fd);
}

static void security_file_mprotect(void)
{
	const char *path = at_home("mprotect");
	int fd = new_file(path, "content");
	char *page = map_page(PROT_READ, fd);

	mapped = identity_of(fd);
	must("mprotect", call(SYS_mprotect, page, PAGE, RW));
	seen("security_file_mprotect", STRING("pathname", path), INT("prot", RW),
	     UINT("ctime", mapped.ctime), INT("prev_prot", PROT_READ), POINTER("addr", page),
	     UINT("len", PAGE), INT("pkey", -1));
	must("pkey_mprotect", call(SYS_pkey_mprotect, page, PAGE, PROT_READ, -1));
	seen("security_file_mprotect", STRING("pathname", path), INT("prot", PROT_READ),
	     INT("prev_prot", RW), POINTER("addr", page), UINT("len", PAGE), INT("pkey", -1));
	page = map_page(RW, -1);
	must("mprotect", call(SYS_mprotect, page, PAGE, PROT_NONE));
	seen("security_file_mprotect", INT("prot", 0), INT("prev_prot", RW), POINTER("addr", page),
	     UINT("len", PAGE), INT("pkey", -1));
	call(SYS_close, fd);
}
