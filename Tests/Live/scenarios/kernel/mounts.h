/* Mounts, in a namespace of our own. */
#include "known.h"

static void mount_some(void)
{
	const char *one = at_home("mount-one"), *two = at_home("mount-two");
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (!private_mounts()) {
		skipped("security_sb_mount", "no mounts of our own");
		return;
	}
	seen("security_sb_mount", STRING("path", "/"), UINT("flags", MS_REC | MS_PRIVATE));
	must("mkdir", call(SYS_mkdir, one, 0755));
	must("mkdir", call(SYS_mkdir, two, 0755));
	must("mount", call(SYS_mount, "apus source", one, "tmpfs", flags, "size=64k"));
	seen("security_sb_mount", STRING("dev_name", "apus source"), STRING("path", one),
	     STRING("type", "tmpfs"), UINT("flags", flags));
	must("mount", call(SYS_mount, one, two, NULL, MS_BIND, NULL)); /* of no type */
	seen("security_sb_mount", STRING("dev_name", one), STRING("path", two), UINT("flags", MS_BIND));
	must("remount", call(SYS_mount, NULL, two, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	seen("security_sb_mount", STRING("path", two), UINT("flags", MS_BIND | MS_REMOUNT | MS_RDONLY));
	call(SYS_mount, "x", one, "nosuchfs", 0, NULL); /* -ENODEV, behind the check */
	seen("security_sb_mount", STRING("dev_name", "x"), STRING("path", one),
	     STRING("type", "nosuchfs"), UINT("flags", 0));
}

static void security_sb_mount(void)
{
	in_child(mount_some);
}

static void unmount_some(void)
{
	const char *path = at_home("umount");
	int flags[] = { 0, MNT_DETACH, UMOUNT_NOFOLLOW };

	if (!private_mounts()) {
		skipped("security_sb_umount", "no mounts of our own");
		return;
	}
	must("mkdir", call(SYS_mkdir, path, 0755));
	for (int i = 0; i < 3; i++) {
		must("mount", call(SYS_mount, "apus", path, "tmpfs", 0, NULL));
		must("umount2", call(SYS_umount2, path, flags[i]));
		seen("security_sb_umount", STRING("mountpoint", path), STRING("type", "tmpfs"),
		     INT("flags", flags[i]));
	}
}

static void security_sb_umount(void)
{
	in_child(unmount_some);
}
