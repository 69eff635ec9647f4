// All bytes that the tracees and whoever works beside them share: the segment and, where an object
// keeps files of its own beside the segment's name, those; also what names in /dev/shm stand for
// that belong to their directory (variants/segment/file/segment_file.h).
//
// They are compared at each instruction of a tracee and put back before the next one starts. Files
// are put back in place, in the inodes that have their names now, while no process that works with
// them is left; one that only has them open (tdb's keeper) goes on. What the kernel keeps besides
// (file locks, robust lists) ends with the processes. After Open nothing here allocates, so that
// all victims that are forked from this process are alike.
#ifndef KILL9_HARNESS_STEPPER_SHARED_BYTES_H_
#define KILL9_HARNESS_STEPPER_SHARED_BYTES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/process/uninherited_array.h"

namespace kill9::stepper {

using Snapshot = UninheritedArray<char>;

class SharedBytes {
 public:
  static constexpr uint32_t kMostFiles = 8;
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kMostPages = 8192;  // that are not all zeros, of all files

  // `segment`: mapped, and stays so. `directory`: of the files; empty: there are none.
  // kResourceExhausted: more files than there is room for.
  absl::Status Open(char* segment, size_t segment_bytes, const std::string& directory);

  // A name under /dev/shm that does not exist yet: what is behind it once it does is shared, too.
  // Restoring anything removes it.
  void WatchName(const std::string& name);

  char* segment() const { return segment_; }
  size_t segment_bytes() const { return segment_bytes_; }
  bool has_files() const { return directory_ >= 0; }
  // Whether anything is shared besides the segment, at places that are not known.
  bool outside_segment() const { return has_files() || !watched_path_.empty(); }
  // The room that a snapshot may take; only what it holds is ever touched.
  size_t snapshot_bytes() const;
  Snapshot NewSnapshot() const { return Snapshot(snapshot_bytes()); }
  // False: see error().
  bool Save(char* snapshot);
  // REQUIRES: nobody is attached, but for what Save met.
  bool Restore(const char* snapshot);
  uint64_t HashOf(const char* snapshot) const;

  // A word that holds the thread id of one of `pids` counts as if it held that one's number. A page
  // of zeros counts as a hole.
  uint64_t HashSegment(const PidsByNumber& pids = {}) const;
  uint64_t HashOutside(const PidsByNumber& pids = {});

  const char* error() const { return error_; }

 private:
  struct File {
    char name[64];
    int folder;  // where the name is: the directory, or /dev/shm
    int fd;
    ino_t inode;
    mode_t mode;
  };
  struct SavedFiles {
    uint64_t pages;
    uint64_t sizes[kMostFiles];
  };
  struct SavedPage {
    uint32_t file;
    uint32_t index;
    char bytes[kPageBytes];
  };

  SavedFiles& FilesOf(char* snapshot) const;
  SavedPage* PagesOf(char* snapshot) const;
  size_t Used(const char* snapshot) const;
  // Every page of the file that is not all zeros; the last one is filled up with zeros.
  bool ForEachPage(const File& file,
                   absl::FunctionRef<bool(uint32_t index, const char* bytes)> visit);
  // Takes whatever has the file's name now for the file: an object may put another in its place.
  // False: nothing has it.
  bool Follow(File& file);
  void RemoveUnknownFiles();
  bool PutBack(File& file, uint64_t size);
  uint64_t HashWatched();

  char* segment_ = nullptr;
  size_t segment_bytes_ = 0;
  std::optional<UninheritedArray<char>> scratch_;  // of the segment, or of a piece of a file
  std::string watched_path_;
  int directory_ = -1;
  int shared_memory_ = -1;  // /dev/shm
  uint32_t file_count_ = 0;
  File files_[kMostFiles] = {};
  const char* error_ = "";
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_SHARED_BYTES_H_
