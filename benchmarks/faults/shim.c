/* Faults of disks, put in front of libc's calls by LD_PRELOAD. All by environment, for what lies below FAULT_ROOT:

   FAULT_SYNCED=DIR   remembers what is on the disk for certain: at each fsync, by its number, a file's content or
                      a folder's names; and how much the process had written to its standard output by then.
                      power.py makes of it what a power cut after any of them leaves.
   FAULT_CUT_AT=N     ends the process by SIGKILL in place of the N-th fsync.
   FAULT_FAIL_AT=N    the N-th call that takes room fails with ENOSPC (-1: none does, all are listed);
   FAULT_FAIL_STAYS=1 and so does each after it that makes anything larger.
   FAULT_STATE=FILE   counters, shared by all processes; FILE.log says which call failed.
   FAULT_NFS=silly    no flock (ENOLCK); a name that is taken from an open file becomes .nfs*, until it is closed.
   FAULT_NFS=busy     no flock; to rename over an open file fails with EBUSY.

   Writes to mapped memory are not seen: SQLite's -shm, which it builds anew. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct shared { long writes, syncs; };
static struct shared none, *state = &none;
static char root[PATH_MAX], synced[PATH_MAX], told[PATH_MAX];
static long fail_at, fail_stays, cut_at;
static int nfs;

#define NEXT(type, name, ...) \
    static type (*next)(__VA_ARGS__); \
    if (!next) next = dlsym(RTLD_NEXT, name)

static void text_of(char *into, const char *name) {
    const char *value = getenv(name);
    snprintf(into, PATH_MAX, "%s", value ? value : "");
}

static long number_of(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

__attribute__((constructor)) void fault_arm(void) {
    char place[PATH_MAX], how[PATH_MAX];
    text_of(root, "FAULT_ROOT");
    text_of(synced, "FAULT_SYNCED");
    text_of(place, "FAULT_STATE");
    text_of(how, "FAULT_NFS");
    fail_at = number_of("FAULT_FAIL_AT");
    fail_stays = number_of("FAULT_FAIL_STAYS");
    cut_at = number_of("FAULT_CUT_AT");
    nfs = !strcmp(how, "silly") ? 1 : !strcmp(how, "busy") ? 2 : 0;
    if (!place[0]) return;
    snprintf(told, sizeof told, "%.*s.log", PATH_MAX - 8, place);
    int fd = syscall(SYS_openat, AT_FDCWD, place, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || syscall(SYS_ftruncate, fd, sizeof(struct shared))) return;
    void *found = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (found != MAP_FAILED) state = found;
    syscall(SYS_close, fd);
}

static int below(const char *path) {
    size_t length = strlen(root);
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int path_of(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, into, PATH_MAX - 1);
    into[got > 0 ? got : 0] = 0;
    return got > 0 && below(into);
}

static int absolute(int at, const char *path, char *into) {
    if (!root[0] || !path) return 0;
    if (path[0] == '/') snprintf(into, PATH_MAX, "%s", path);
    else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
        else path_of(at, base);
        if (snprintf(into, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    return below(into);
}

/* ---- a full disk ---- */

static int full(const char *what, const char *path, int grows) {
    if (!fail_at) return 0;
    long n = __sync_add_and_fetch(&state->writes, 1);
    if (fail_at > 0 && n != fail_at && !(fail_stays && fail_at > 0 && n > fail_at && grows)) return 0;
    if (n == fail_at || fail_at < 0) {
        char line[PATH_MAX + 64];
        int fd = syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND, 0666);
        int length = snprintf(line, sizeof line, "%ld %s %s\n", n, what, path);
        if (fd >= 0) { syscall(SYS_write, fd, line, length); syscall(SYS_close, fd); }
    }
    if (fail_at > 0) errno = ENOSPC;
    return fail_at > 0;
}

static int full_fd(const char *what, int fd, off_t end) {
    char path[PATH_MAX];
    struct stat about;
    if (!fail_at || !path_of(fd, path) || fstat(fd, &about) || !S_ISREG(about.st_mode)) return 0;
    if (end < 0) end = LONG_MAX;
    return full(what, path, end > about.st_size);
}

ssize_t write(int fd, const void *data, size_t size) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    return full_fd("write", fd, -1) ? -1 : next(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    NEXT(ssize_t, "writev", int, const struct iovec *, int);
    return full_fd("writev", fd, -1) ? -1 : next(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return full_fd("pwrite", fd, at + (off_t)size) ? -1 : next(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    NEXT(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
    return full_fd("pwritev", fd, -1) ? -1 : next(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
    NEXT(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    return full_fd("fwrite", fileno(stream), -1) ? 0 : next(data, size, count, stream);
}

int ftruncate64(int fd, off64_t size) {
    NEXT(int, "ftruncate64", int, off64_t);
    return full_fd("ftruncate", fd, size) ? -1 : next(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    NEXT(int, "fallocate64", int, int, off64_t, off64_t);
    return full_fd("fallocate", fd, at + size) ? -1 : next(fd, mode, at, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) { return fallocate64(fd, mode, at, size); }

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    NEXT(int, "posix_fallocate64", int, off64_t, off64_t);
    return full_fd("posix_fallocate", fd, at + size) ? ENOSPC : next(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }

static int full_name(const char *what, int at, const char *path) {
    char whole[PATH_MAX];
    if (!fail_at || !absolute(at, path, whole)) return 0;
    return syscall(SYS_faccessat, AT_FDCWD, whole, F_OK) && full(what, whole, 1);
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    NEXT(int, "openat64", int, const char *, int, ...);
    if ((flags & O_CREAT) && full_name("open", at, path)) return -1;
    return next(at, path, flags, mode);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

int mkdir(const char *path, mode_t mode) {
    NEXT(int, "mkdir", const char *, mode_t);
    return full_name("mkdir", AT_FDCWD, path) ? -1 : next(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    NEXT(int, "mkdirat", int, const char *, mode_t);
    return full_name("mkdir", at, path) ? -1 : next(at, path, mode);
}

int link(const char *from, const char *to) {
    NEXT(int, "link", const char *, const char *);
    return full_name("link", AT_FDCWD, to) ? -1 : next(from, to);
}

int symlink(const char *from, const char *to) {
    NEXT(int, "symlink", const char *, const char *);
    return full_name("symlink", AT_FDCWD, to) ? -1 : next(from, to);
}

/* ---- a disk of a network ---- */

static int is_open(const char *path) {
    struct stat about, other;
    char link[300];
    struct dirent *one;
    DIR *list;
    int found = 0;
    if (lstat(path, &about) || !S_ISREG(about.st_mode) || !(list = opendir("/proc/self/fd"))) return 0;
    while (!found && (one = readdir(list))) {
        snprintf(link, sizeof link, "/proc/self/fd/%s", one->d_name);
        found = one->d_name[0] != '.' && !stat(link, &other) && other.st_ino == about.st_ino && other.st_dev == about.st_dev;
    }
    closedir(list);
    return found;
}

static void silly(const char *path) {
    char aside[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct stat about;
    if (lstat(path, &about)) return;
    snprintf(aside, sizeof aside, "%.*s/.nfs%016lx", (int)(slash - path), path, (long)about.st_ino);
    syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, aside, 0);
}

int flock(int fd, int how) {
    NEXT(int, "flock", int, int);
    char path[PATH_MAX];
    if (nfs && path_of(fd, path)) { errno = ENOLCK; return -1; }
    return next(fd, how);
}

int rename(const char *from, const char *to) {
    NEXT(int, "rename", const char *, const char *);
    char whole[PATH_MAX], source[PATH_MAX];
    if (nfs && absolute(AT_FDCWD, to, whole) && absolute(AT_FDCWD, from, source) && is_open(whole)) {
        struct stat a, b;
        int same = !lstat(whole, &a) && !lstat(source, &b) && a.st_ino == b.st_ino;
        if (!same && nfs == 2) { errno = EBUSY; return -1; }
        if (!same) silly(whole);
    }
    return next(from, to);
}

int unlinkat(int at, const char *path, int flags) {
    NEXT(int, "unlinkat", int, const char *, int);
    char whole[PATH_MAX];
    if (nfs && !(flags & AT_REMOVEDIR) && absolute(at, path, whole) && is_open(whole)) {
        if (!strncmp(strrchr(whole, '/'), "/.nfs", 5)) { errno = EBUSY; return -1; }
        silly(whole);
        return 0;
    }
    return next(at, path, flags);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int close(int fd) {
    NEXT(int, "close", int);
    char path[PATH_MAX];
    int left = nfs && path_of(fd, path) && !strncmp(strrchr(path, '/'), "/.nfs", 5);
    int ended = next(fd);
    if (left && !is_open(path)) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return ended;
}

/* ---- a power cut ---- */

static int key_of(int at, const char *name, char *into, mode_t *mode) {
    struct statx about;
    if (syscall(SYS_statx, at, name, AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : AT_EMPTY_PATH), STATX_BASIC_STATS | STATX_BTIME, &about)) return -1;
    snprintf(into, 80, "%llu-%lld-%u", (unsigned long long)about.stx_ino, (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
    *mode = about.stx_mode;
    return 0;
}

static void keep_content(int fd, int into) {
    char block[65536];
    off_t at = 0;
    ssize_t got;
    while ((got = syscall(SYS_pread64, fd, block, sizeof block, at)) > 0) {
        syscall(SYS_write, into, block, got);
        at += got;
    }
}

static void keep_names(int fd, int into) {
    char line[512], key[80];
    mode_t mode;
    struct dirent *one;
    int own = syscall(SYS_openat, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    DIR *list = own < 0 ? NULL : fdopendir(own);
    if (!list) return;
    while ((one = readdir(list))) {
        if (!strcmp(one->d_name, ".") || !strcmp(one->d_name, "..")) continue;
        if (key_of(own, one->d_name, key, &mode)) continue;
        int length = snprintf(line, sizeof line, "%s %s %s\n", key, S_ISDIR(mode) ? "folder" : S_ISREG(mode) ? "file" : "other", one->d_name);
        syscall(SYS_write, into, line, length);
    }
    closedir(list);
}

int fault_key(int fd, char *into) {
    mode_t mode;
    return key_of(fd, "", into, &mode);
}

/* Remember a file's content or a folder's names as being on the disk since that fsync. */
void fault_keep(int fd, long number) {
    char key[80], aside[PATH_MAX], place[PATH_MAX];
    mode_t mode;
    if (!synced[0] || key_of(fd, "", key, &mode) || !(S_ISREG(mode) || S_ISDIR(mode))) return;
    snprintf(aside, sizeof aside, "%.3800s/.%s.%ld", synced, key, (long)syscall(SYS_gettid));
    snprintf(place, sizeof place, "%.3800s/%ld.%s", synced, number, key);
    int readable = fd;
    if (S_ISREG(mode)) {  /* it may be open for writing alone */
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        readable = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    }
    int into = syscall(SYS_openat, AT_FDCWD, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (into >= 0 && readable >= 0) (S_ISDIR(mode) ? keep_names : keep_content)(readable, into);
    if (into >= 0) syscall(SYS_close, into);
    if (readable >= 0 && readable != fd) syscall(SYS_close, readable);
    syscall(SYS_renameat2, AT_FDCWD, aside, AT_FDCWD, place, 0);
}

static void keep_said(long number) {
    char place[PATH_MAX], line[64];
    struct stat about;
    if (!synced[0] || fstat(1, &about) || !S_ISREG(about.st_mode)) return;
    snprintf(place, sizeof place, "%.3800s/said", synced);
    int length = snprintf(line, sizeof line, "%ld %ld\n", number, (long)about.st_size);
    int into = syscall(SYS_openat, AT_FDCWD, place, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (into >= 0) { syscall(SYS_write, into, line, length); syscall(SYS_close, into); }
}

static int kept(int fd, int (*sync)(int)) {
    char path[PATH_MAX];
    if (!synced[0] && !cut_at) return sync(fd);
    if (!path_of(fd, path)) return sync(fd);
    long number = __sync_add_and_fetch(&state->syncs, 1);
    if (number == cut_at) kill(getpid(), SIGKILL);
    keep_said(number);
    fault_keep(fd, number);  /* in place of the disk's own work: nobody pulls the plug here */
    return 0;
}

int fsync(int fd) {
    NEXT(int, "fsync", int);
    return kept(fd, next);
}

int fdatasync(int fd) {
    NEXT(int, "fdatasync", int);
    return kept(fd, next);
}
