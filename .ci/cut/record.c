/* Records the calls of a program that change or sync files below a folder, and its standard output, in one order.
 *
 *     record TRACE FOLDER PROGRAM [ARGUMENT...]
 *
 * ptrace stops the program before and after every system call that can change a file (a seccomp filter selects the calls), so no call
 * is missed, whichever library makes it. A call that would change a file below the folder in an unsupported way (a shared mapping,
 * io_uring, a copy in the kernel) ends the recording with an error (3), and so does a program that ends during a call (4): a trace is
 * complete or does not exist. Records are appended to TRACE. A record is a line of tab-separated fields, some followed by bytes:
 *
 *     root INODE                          the folder itself
 *     file|folder PARENT NAME INODE       created
 *     length INODE LENGTH                 truncated, or extended with zeros
 *     write INODE OFFSET COUNT            followed by COUNT bytes
 *     rename PARENT NAME PARENT NAME      and unlink PARENT NAME
 *     sync-begin THREAD INODE             fsync or fdatasync of a file or folder; INODE 0 is the whole file system
 *     sync-end THREAD                     only if it succeeded
 *     range INODE                         sync_file_range, which makes nothing durable
 *     output COUNT                        followed by COUNT bytes of the standard output
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long u64;

static FILE *trace;
static char root[PATH_MAX];

static void fail(const char *form, ...) {
    va_list args;
    va_start(args, form);
    fputs("record: ", stderr);
    vfprintf(stderr, form, args);
    fputc('\n', stderr);
    va_end(args);
    exit(3); /* PTRACE_O_EXITKILL ends the program too. */
}

/* The C library's header conflicts with the kernel's. */
static long ptrace(long request, pid_t pid, void *address, void *data) { return syscall(SYS_ptrace, request, pid, address, data); }

/* The traced calls. Those in the second part are not supported and end the recording with an error. */
static const int traced[] = {
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_mkdir, SYS_rename, SYS_unlink, SYS_rmdir,
#endif
    SYS_openat, SYS_mkdirat, SYS_renameat2, SYS_unlinkat, SYS_write, SYS_pwrite64, SYS_ftruncate, SYS_fallocate, SYS_fsync,
    SYS_fdatasync, SYS_sync_file_range, SYS_syncfs, SYS_sync,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_link
    SYS_link, SYS_symlink,
#endif
    SYS_linkat, SYS_symlinkat, SYS_openat2, SYS_truncate, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_sendfile, SYS_splice,
    SYS_copy_file_range, SYS_io_uring_setup, SYS_mmap, SYS_mprotect,
};
#define TRACED (sizeof traced / sizeof *traced)

static void filter_calls(void) {
    struct sock_filter filter[TRACED + 3];
    size_t n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < TRACED; i++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)traced[i], TRACED - i, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        fail("no seccomp filter: %s", strerror(errno));
}

/* The jump target after a thread has ended: a call that it was about to make is not made. */
static jmp_buf gone;

static void read_memory(pid_t pid, u64 from, void *to, size_t len) {
    struct iovec here = {to, len}, there = {(void *)(uintptr_t)from, len};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len) return;
    if (errno == ESRCH) longjmp(gone, 1);
    fail("cannot read the program's memory: %s", strerror(errno));
}

static void read_text(pid_t pid, u64 from, char to[PATH_MAX]) {
    for (size_t i = 0; i < PATH_MAX; i++) {
        read_memory(pid, from + i, to + i, 1);
        if (!to[i]) return;
    }
    fail("a path is too long");
}

static int below_root(const char *path) {
    size_t len = strlen(root);
    return !strncmp(path, root, len) && (path[len] == '/' || !path[len]);
}

/* The path of a descriptor, or an empty string. */
static void descriptor_path(pid_t pid, int fd, char to[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/%d/cwd" : "/proc/%d/fd/%d", pid, fd);
    ssize_t len = readlink(link, to, PATH_MAX - 1);
    to[len < 0 ? 0 : len] = 0;
}

/* The inode of a descriptor if it is a file or folder below the root, else 0. */
static ino_t watched(pid_t pid, int fd) {
    char path[PATH_MAX], link[64];
    struct stat found;
    descriptor_path(pid, fd, path);
    if (!below_root(path)) return 0;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
    return stat(link, &found) ? 0 : found.st_ino;
}

/* A name in a folder below the root. */
struct name {
    ino_t parent;
    char path[2 * PATH_MAX], *base;
};

/* True if the path at `address`, relative to the descriptor `fd`, is below the root; sets `name` then. */
static int named(pid_t pid, int fd, u64 address, struct name *name) {
    char given[PATH_MAX], from[PATH_MAX] = "", joined[2 * PATH_MAX + 2], real[PATH_MAX];
    struct stat parent;
    read_text(pid, address, given);
    if (given[0] != '/') descriptor_path(pid, fd, from);
    snprintf(joined, sizeof joined, "%s/%s", from, given);
    for (size_t end = strlen(joined); end > 1 && joined[end - 1] == '/';) joined[--end] = 0;
    char *slash = strrchr(joined, '/');
    *slash = 0;
    if (!realpath(*joined ? joined : "/", real) || !below_root(real) || stat(real, &parent)) return 0;
    if (!strcmp(slash + 1, ".") || !strcmp(slash + 1, "..") || strpbrk(slash + 1, "\t\n")) fail("a name that cannot be recorded");
    name->parent = parent.st_ino;
    name->base = name->path + snprintf(name->path, sizeof name->path, "%s/", real);
    strcpy(name->base, slash + 1);
    return 1;
}

/* A thread of the program and its current call. */
struct thread {
    pid_t pid;
    struct {
        u64 nr, args[6];
    } call;
    struct name first, second;
    int existed, under_way;
    off_t len;
    /* The bytes of a write: read before the call, because the program may have ended after it. */
    char *bytes;
};
static struct thread *threads[1024];

static struct thread *thread(pid_t pid, int drop) {
    struct thread **free_place = NULL;
    for (size_t i = 0; i < 1024; i++) {
        if (threads[i] && threads[i]->pid == pid) {
            if (drop) free(threads[i]->bytes), free(threads[i]), threads[i] = NULL;
            return threads[i];
        }
        if (!threads[i] && !free_place) free_place = &threads[i];
    }
    if (drop) return NULL;
    if (!free_place || !(*free_place = calloc(1, sizeof **free_place))) fail("too many threads");
    (*free_place)->pid = pid;
    return *free_place;
}

/* True if a descriptor is the same file as the standard output of the recorder. */
static int is_output(pid_t pid, int fd) {
    char theirs[PATH_MAX], ours[PATH_MAX];
    if (fd != STDOUT_FILENO) return 0;
    descriptor_path(pid, fd, theirs);
    descriptor_path(getpid(), fd, ours);
    return !strcmp(theirs, ours);
}

static void refuse_if(int below, struct thread *t) {
    if (below) fail("system call %llu changes a file below the folder in a way that is not recorded", t->call.nr);
}

/* True if the call uses a name below the root. Called before the call, while the name is unchanged. */
static int begins_naming(struct thread *t, int fd, u64 path, u64 flags) {
    struct stat found;
    if (!named(t->pid, fd, path, &t->first)) return 0;
    refuse_if((flags & O_TMPFILE) == O_TMPFILE || ((flags & O_ACCMODE) != O_RDONLY && flags & (O_SYNC | O_DSYNC)), t);
    t->existed = !lstat(t->first.path, &found);
    t->len = t->existed ? found.st_size : 0;
    return (flags & O_CREAT && !t->existed) || (flags & O_TRUNC && t->len);
}

static int keep_bytes(struct thread *t) {
    size_t count = (size_t)t->call.args[2];
    if (!(t->bytes = realloc(t->bytes, count + 1))) fail("out of memory");
    read_memory(t->pid, t->call.args[1], t->bytes, count);
    return 1;
}

/* Inspects a call before it is made; true if its end must be recorded. */
static int begins(struct thread *t) {
    u64 *a = t->call.args;
    pid_t pid = t->pid;
    struct name other;
    switch (t->call.nr) {
#ifdef SYS_open
    case SYS_open: return begins_naming(t, AT_FDCWD, a[0], a[1]);
    case SYS_creat: return begins_naming(t, AT_FDCWD, a[0], O_CREAT | O_TRUNC | O_WRONLY);
    case SYS_mkdir: case SYS_unlink: case SYS_rmdir: return named(pid, AT_FDCWD, a[0], &t->first);
    case SYS_rename:
        refuse_if(named(pid, AT_FDCWD, a[0], &t->first) != named(pid, AT_FDCWD, a[1], &t->second), t);
        return named(pid, AT_FDCWD, a[0], &t->first);
    case SYS_link: case SYS_symlink: refuse_if(named(pid, AT_FDCWD, a[1], &other), t); return 0;
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2:
        refuse_if(named(pid, (int)a[0], a[1], &t->first) != named(pid, (int)a[2], a[3], &t->second), t);
        if (!named(pid, (int)a[0], a[1], &t->first)) return 0;
        refuse_if(t->call.nr == SYS_renameat2 && a[4] & ~1ULL, t); /* 1 is RENAME_NOREPLACE */
        return 1;
    case SYS_openat: return begins_naming(t, (int)a[0], a[1], a[2]);
    case SYS_mkdirat: case SYS_unlinkat: return named(pid, (int)a[0], a[1], &t->first);
    case SYS_write: return (is_output(pid, (int)a[0]) || watched(pid, (int)a[0])) && keep_bytes(t);
    case SYS_pwrite64: return watched(pid, (int)a[0]) && keep_bytes(t);
    case SYS_ftruncate: return !!watched(pid, (int)a[0]);
    case SYS_fallocate: {
        ino_t inode = watched(pid, (int)a[0]);
        refuse_if(inode && a[1] & ~1ULL, t); /* 1 is FALLOC_FL_KEEP_SIZE */
        struct stat found;
        char link[64];
        snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, (int)a[0]);
        t->len = stat(link, &found) ? 0 : found.st_size;
        return inode && !a[1];
    }
    case SYS_fsync: case SYS_fdatasync: {
        ino_t inode = watched(pid, (int)a[0]);
        if (inode) fprintf(trace, "sync-begin\t%d\t%ju\n", pid, (uintmax_t)inode);
        return !!inode;
    }
    case SYS_syncfs: case SYS_sync: fprintf(trace, "sync-begin\t%d\t0\n", pid); return 1;
    case SYS_sync_file_range: return !!watched(pid, (int)a[0]);
    case SYS_linkat: refuse_if(named(pid, (int)a[2], a[3], &other), t); return 0;
    case SYS_symlinkat: refuse_if(named(pid, (int)a[1], a[2], &other), t); return 0;
    case SYS_openat2: refuse_if(named(pid, (int)a[0], a[1], &other), t); return 0;
    case SYS_truncate: refuse_if(named(pid, AT_FDCWD, a[0], &other), t); return 0;
    case SYS_writev: case SYS_pwritev: case SYS_pwritev2: case SYS_sendfile:
        refuse_if(is_output(pid, (int)a[0]) || watched(pid, (int)a[0]), t);
        return 0;
    case SYS_splice: case SYS_copy_file_range: refuse_if(!!watched(pid, (int)a[2]), t); return 0;
    case SYS_io_uring_setup: refuse_if(1, t); return 0;
    case SYS_mmap:
        refuse_if(!(a[3] & MAP_ANONYMOUS) && a[3] & MAP_SHARED && a[2] & PROT_WRITE && watched(pid, (int)a[4]), t);
        return 0;
    default: return 0;
    }
}

static void wrote(struct thread *t, ino_t inode, off_t offset, size_t count) {
    fprintf(trace, "write\t%ju\t%jd\t%zu\n", (uintmax_t)inode, (intmax_t)offset, count);
    fwrite(t->bytes, 1, count, trace);
}

/* The file offset of a descriptor. */
static off_t standing(pid_t pid, int fd) {
    char path[64];
    intmax_t at = -1;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
    FILE *info = fopen(path, "r");
    if (!info || fscanf(info, "pos: %jd", &at) != 1) fail("cannot tell where a write went");
    fclose(info);
    return (off_t)at;
}

/* Records a finished call. */
static void ended(struct thread *t, long long result) {
    u64 *a = t->call.args;
    struct stat found;
    if (result < 0) return;
    switch (t->call.nr) {
#ifdef SYS_open
    case SYS_mkdir:
#endif
    case SYS_mkdirat:
        if (stat(t->first.path, &found)) fail("a folder that was made is gone");
        fprintf(trace, "folder\t%ju\t%s\t%ju\n", (uintmax_t)t->first.parent, t->first.base, (uintmax_t)found.st_ino);
        break;
#ifdef SYS_open
    case SYS_open: case SYS_creat:
#endif
    case SYS_openat: {
        ino_t inode = watched(t->pid, (int)result);
        if (!inode) fail("a file that was opened is gone");
        if (t->existed) fprintf(trace, "length\t%ju\t0\n", (uintmax_t)inode);
        else fprintf(trace, "file\t%ju\t%s\t%ju\n", (uintmax_t)t->first.parent, t->first.base, (uintmax_t)inode);
        break;
    }
#ifdef SYS_open
    case SYS_rename:
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2:
        fprintf(trace, "rename\t%ju\t%s\t%ju\t%s\n", (uintmax_t)t->first.parent, t->first.base, (uintmax_t)t->second.parent, t->second.base);
        break;
#ifdef SYS_open
    case SYS_unlink: case SYS_rmdir:
#endif
    case SYS_unlinkat: fprintf(trace, "unlink\t%ju\t%s\n", (uintmax_t)t->first.parent, t->first.base); break;
    case SYS_write:
        if (is_output(t->pid, (int)a[0])) {
            fprintf(trace, "output\t%lld\n", result);
            fwrite(t->bytes, 1, (size_t)result, trace);
        } else {
            wrote(t, watched(t->pid, (int)a[0]), standing(t->pid, (int)a[0]) - result, (size_t)result);
        }
        break;
    case SYS_pwrite64: wrote(t, watched(t->pid, (int)a[0]), (off_t)a[3], (size_t)result); break;
    case SYS_ftruncate: fprintf(trace, "length\t%ju\t%llu\n", (uintmax_t)watched(t->pid, (int)a[0]), a[1]); break;
    case SYS_fallocate:
        if (a[2] + a[3] > (u64)t->len) fprintf(trace, "length\t%ju\t%llu\n", (uintmax_t)watched(t->pid, (int)a[0]), a[2] + a[3]);
        break;
    case SYS_sync_file_range: fprintf(trace, "range\t%ju\n", (uintmax_t)watched(t->pid, (int)a[0])); break;
    case SYS_fsync: case SYS_fdatasync: case SYS_syncfs: case SYS_sync: fprintf(trace, "sync-end\t%d\n", t->pid); break;
    default: break;
    }
}

static struct ptrace_syscall_info call_of(pid_t pid) {
    struct ptrace_syscall_info info = {0};
    /* A thread that was killed in the meantime has no call. */
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) < 0 && errno != ESRCH) fail("cannot see the call: %s", strerror(errno));
    return info;
}

/* Handles one ptrace stop of one thread. */
static void stopped(pid_t pid, int status) {
    struct thread *t = thread(pid, 0);
    int signal = WSTOPSIG(status), request = PTRACE_CONT, deliver = 0;
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
        struct ptrace_syscall_info info = call_of(pid);
        t->call.nr = info.seccomp.nr;
        memcpy(t->call.args, info.seccomp.args, sizeof t->call.args);
        if (!setjmp(gone) && begins(t)) {
            request = PTRACE_SYSCALL;
            t->under_way = 1;
        }
    } else if (signal == (SIGTRAP | 0x80)) {
        struct ptrace_syscall_info info = call_of(pid);
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) ended(t, info.exit.rval);
        t->under_way = 0;
    } else if (status >> 16 == 0 && signal != SIGSTOP) {
        deliver = signal;
    }
    /* waitpid reports a thread that was killed in the meantime. */
    if (ptrace(request, pid, NULL, (void *)(intptr_t)deliver) < 0 && errno != ESRCH) fail("cannot go on: %s", strerror(errno));
}

int main(int count, char **args) {
    if (count < 4) return fputs("record TRACE FOLDER PROGRAM [ARGUMENT...]\n", stderr), 2;
    struct stat folder;
    if (!realpath(args[2], root) || stat(root, &folder)) fail("%s: %s", args[2], strerror(errno));
    if (!(trace = fopen(args[1], "ae"))) fail("%s: %s", args[1], strerror(errno));
    fprintf(trace, "root\t%ju\n", (uintmax_t)folder.st_ino);
    fflush(trace);
    pid_t child = fork();
    if (!child) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) fail("no ptrace: %s", strerror(errno));
        raise(SIGSTOP);
        filter_calls();
        execvp(args[3], args + 3);
        fail("%s: %s", args[3], strerror(errno));
    }
    int status, code = 3, ended_within = 0;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) fail("the program did not start");
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) || ptrace(PTRACE_CONT, child, NULL, NULL)) fail("no ptrace: %s", strerror(errno));
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (WIFSTOPPED(status)) {
            stopped(pid, status);
            continue;
        }
        if (pid == child) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        /* A sync that did not end makes nothing durable, so it may be ignored. */
        u64 last = thread(pid, 0)->call.nr;
        if (thread(pid, 0)->under_way && last != SYS_fsync && last != SYS_fdatasync && last != SYS_syncfs && last != SYS_sync_file_range)
            ended_within = 1;
        thread(pid, 1);
    }
    if (ended_within) {
        fputs("record: the program ended within a call, so nobody knows whether it was made; record again\n", stderr);
        code = 4;
    }
    if (fclose(trace)) fail("%s: %s", args[1], strerror(errno));
    return code;
}
