/* Credentials: capabilities that are asked for, and users, groups and capabilities that change. */
#ifndef APUS_CREDENTIALS_H
#define APUS_CREDENTIALS_H

#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h */

/* int cap_capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts),
 * security/commoncap.c, 5.10 to 7.2 */
ON_ENTRY(cap_capable, cap_capable, struct cred *cred, struct user_namespace *ns, int cap, u32 options)
{
	struct scratch *s;

	if (options & CAP_OPT_NOAUDIT)
		return 0;
	s = BEGIN(CAP_CAPABLE);
	if (!s)
		return 0;
	set_value(s, FIELD_CAP_CAPABLE_CAP, cap);
	return FINISH(s);
}

/* A capability set, of two words or one, is 64 bits, the low ones first. */
#define CAPABILITIES(to, member) bpf_core_read(&(to)->member, sizeof(u64), &cred->cap_##member)

static __always_inline void read_credentials(struct apus_credentials *to, struct cred *cred)
{
	to->uid = READ(cred, uid.val);
	to->gid = READ(cred, gid.val);
	to->suid = READ(cred, suid.val);
	to->sgid = READ(cred, sgid.val);
	to->euid = READ(cred, euid.val);
	to->egid = READ(cred, egid.val);
	to->fsuid = READ(cred, fsuid.val);
	to->fsgid = READ(cred, fsgid.val);
	to->user_ns = READ(cred, user_ns, ns.inum);
	to->securebits = READ(cred, securebits);
	CAPABILITIES(to, inheritable);
	CAPABILITIES(to, permitted);
	CAPABILITIES(to, effective);
	bpf_core_read(&to->bounding, sizeof(u64), &cred->cap_bset);
	CAPABILITIES(to, ambient);
}

/* int commit_creds(struct cred *new), kernel/cred.c, 5.10 to 7.2. Also at each execve. */
ON_ENTRY(commit_creds, commit_creds, struct cred *new)
{
	struct task_struct *task = current_task();
	struct apus_credentials before = {}, after = {};
	struct scratch *s;
	u64 differ = 0;

	read_credentials(&before, TASK(task, real_cred));
	read_credentials(&after, new);
	for (u32 i = 0; i < sizeof(before) / 8; i++)
		differ |= ((u64 *)&before)[i] ^ ((u64 *)&after)[i];
	if (!differ)
		return 0;
	s = BEGIN(COMMIT_CREDS);
	if (!s)
		return 0;
	append_bytes(s, FIELD_COMMIT_CREDS_OLD_CRED, &before, sizeof(before));
	append_bytes(s, FIELD_COMMIT_CREDS_NEW_CRED, &after, sizeof(after));
	return FINISH(s);
}

/* ---- prctl: int security_task_prctl(int option, unsigned long arg2, unsigned long arg3,
 * unsigned long arg4, unsigned long arg5), security/security.c, 5.10 to 7.2. Before anything is done. */

/* include/uapi/linux/prctl.h */
#define PR_SET_SECUREBITS 28
#define PR_SET_MM 35
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#define PR_SET_MM_AUXV 12
#define PR_SET_MM_EXE_FILE 13
#define PR_SET_MM_MAP 14
#define PR_SET_MM_MAP_SIZE 15

struct mm_map { /* struct prctl_mm_map there */
	u64 values[11]; /* from start_code to env_end, as the fields are */
	u64 auxv;
	u32 auxv_size;
	s32 exe_fd;
};

/* PR_SET_MM_START_CODE (1) to PR_SET_MM_ENV_END (11): which of those values each sets. */
static __always_inline u32 mm_value(u64 option)
{
	switch (option) {
	case 5: return 6; /* PR_SET_MM_START_STACK */
	case 6: return 4; /* PR_SET_MM_START_BRK */
	case 7: return 5; /* PR_SET_MM_BRK */
	default: return option - 1;
	}
}

/* Appends a path and sets the four fields behind it. */
static __always_inline void append_program(struct scratch *s, u32 field, struct file *file)
{
	if (!file)
		return;
	append_path(s, field, &file->f_path);
	set_inode(s, field + 1, READ(file, f_inode));
	set_value(s, field + 4, READ(file, f_inode, i_mode));
}

static __always_inline void append_present_memory(struct scratch *s, struct mm_struct *mm)
{
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_START_CODE, READ(mm, start_code));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_END_CODE, READ(mm, end_code));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_START_DATA, READ(mm, start_data));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_END_DATA, READ(mm, end_data));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_START_BRK, READ(mm, start_brk));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_BRK, READ(mm, brk));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_START_STACK, READ(mm, start_stack));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_ARG_START, READ(mm, arg_start));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_ARG_END, READ(mm, arg_end));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_ENV_START, READ(mm, env_start));
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_ENV_END, READ(mm, env_end));
	append_bytes(s, FIELD_SECURITY_TASK_PRCTL_OLD_AUXV, &mm->saved_auxv,
		     bpf_core_field_size(struct mm_struct, saved_auxv));
	append_program(s, FIELD_SECURITY_TASK_PRCTL_OLD_PATHNAME, READ(mm, exe_file));
}

static __always_inline void append_new_memory(struct scratch *s, struct task_struct *task, u64 option, u64 arg3,
					      u64 arg4)
{
	struct mm_map map = {.exe_fd = -1};
	u32 field;

	if (option == PR_SET_MM_MAP) {
		if (bpf_probe_read_user(&map, sizeof(map), (void *)arg3))
			return;
		for (u32 i = 0; i < 11; i++)
			set_value(s, FIELD_SECURITY_TASK_PRCTL_NEW_START_CODE + i, map.values[i]);
	} else if (option == PR_SET_MM_AUXV) {
		map.auxv = arg3;
		map.auxv_size = arg4 > APUS_MAX_STRING ? APUS_MAX_STRING + 1 : arg4;
	} else if (option == PR_SET_MM_EXE_FILE) {
		map.exe_fd = arg3;
	} else if (option >= 1 && option <= 11) {
		field = FIELD_SECURITY_TASK_PRCTL_NEW_START_CODE + mm_value(option);
		barrier_var(field); /* else the compiler drops the mask, and the verifier loses the bounds */
		set_value(s, field, arg3);
	}
	append_user(s, FIELD_SECURITY_TASK_PRCTL_NEW_AUXV, APUS_READ_BYTES, map.auxv, map.auxv_size);
	if (map.exe_fd >= 0)
		append_program(s, FIELD_SECURITY_TASK_PRCTL_NEW_PATHNAME, file_of(task, map.exe_fd));
}

ON_ENTRY(security_task_prctl, security_task_prctl, int option, u64 arg2, u64 arg3, u64 arg4, u64 arg5)
{
	struct task_struct *task = current_task();
	struct scratch *s = BEGIN(SECURITY_TASK_PRCTL);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_TASK_PRCTL_OPTION, option);
	set_value(s, FIELD_SECURITY_TASK_PRCTL_ARG2, arg2);
	set_value(s, FIELD_SECURITY_TASK_PRCTL_ARG3, arg3);
	set_value(s, FIELD_SECURITY_TASK_PRCTL_ARG4, arg4);
	set_value(s, FIELD_SECURITY_TASK_PRCTL_ARG5, arg5);
	if (option == PR_SET_VMA && arg2 == PR_SET_VMA_ANON_NAME)
		append_user(s, FIELD_SECURITY_TASK_PRCTL_VMA_NAME, APUS_READ_STRING, arg5, 0);
	if (option == PR_SET_SECUREBITS)
		set_value(s, FIELD_SECURITY_TASK_PRCTL_OLD_SECUREBITS, TASK(task, cred, securebits));
	if (option == PR_SET_MM && arg2 != PR_SET_MM_MAP_SIZE) {
		append_present_memory(s, TASK(task, mm));
		append_new_memory(s, task, arg2, arg3, arg4);
	}
	return FINISH(s);
}

#endif
