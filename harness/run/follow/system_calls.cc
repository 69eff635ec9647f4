#include "harness/run/follow/system_calls.h"

#include <seccomp.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

namespace kill9::run {
namespace {

struct Calls {
  FileArguments arguments;
  std::vector<long> numbers;
};

const std::vector<Calls>& CallsWithFiles() {
  static const std::vector<Calls>* const calls = new std::vector<Calls>{
      {{.path = 0},
       {SYS_open,      SYS_creat,       SYS_stat,        SYS_lstat,    SYS_access,    SYS_execve,
        SYS_truncate,  SYS_rename,      SYS_mkdir,       SYS_rmdir,    SYS_link,      SYS_unlink,
        SYS_readlink,  SYS_chmod,       SYS_chown,       SYS_lchown,   SYS_chdir,     SYS_mknod,
        SYS_statfs,    SYS_utime,       SYS_utimes,      SYS_setxattr, SYS_lsetxattr, SYS_getxattr,
        SYS_lgetxattr, SYS_removexattr, SYS_lremovexattr}},
      {{.path = 1}, {SYS_symlink}},
      {{.path = 1, .directory = 0},
       {SYS_openat, SYS_openat2, SYS_mkdirat, SYS_mknodat, SYS_fchownat, SYS_futimesat,
        SYS_newfstatat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_readlinkat,
        SYS_fchmodat, SYS_faccessat, SYS_faccessat2, SYS_utimensat, SYS_statx, SYS_execveat,
        SYS_name_to_handle_at}},
      {{.path = 2, .directory = 1}, {SYS_symlinkat}},
      {{.descriptor = 0}, {SYS_read,      SYS_write,           SYS_readv,      SYS_writev,
                           SYS_pread64,   SYS_pwrite64,        SYS_preadv,     SYS_pwritev,
                           SYS_preadv2,   SYS_pwritev2,        SYS_close,      SYS_fstat,
                           SYS_lseek,     SYS_ioctl,           SYS_dup,        SYS_dup2,
                           SYS_dup3,      SYS_fcntl,           SYS_flock,      SYS_fsync,
                           SYS_fdatasync, SYS_sync_file_range, SYS_syncfs,     SYS_ftruncate,
                           SYS_fallocate, SYS_getdents,        SYS_getdents64, SYS_fchdir,
                           SYS_fchmod,    SYS_fchown,          SYS_fstatfs,    SYS_fsetxattr,
                           SYS_fgetxattr, SYS_fremovexattr,    SYS_fadvise64,  SYS_readahead,
                           SYS_sendfile}},
      {{.descriptor = 2}, {SYS_copy_file_range, SYS_splice}},
      {{.descriptor = 4}, {SYS_mmap}},
  };
  return *calls;
}

}  // namespace

std::string CallName(long number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  if (name == nullptr) return absl::StrCat("call_", number);
  std::string text = name;
  std::free(name);
  return text;
}

std::optional<long> CallNumber(const std::string& name) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number < 0) return std::nullopt;
  return number;
}

FileArguments FileArgumentsOf(long number) {
  for (const Calls& calls : CallsWithFiles()) {
    if (absl::c_linear_search(calls.numbers, number)) return calls.arguments;
  }
  return {};
}

}  // namespace kill9::run
