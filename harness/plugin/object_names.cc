#include "harness/plugin/object_names.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/base/mappings/mappings.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/wait_for_end.h"
#include "variants/segment/file/segment_file.h"

namespace kill9 {
namespace {

std::set<std::string> NamesInSharedMemory() {
  std::set<std::string> names;
  std::error_code unreadable;
  for (const auto& entry :
       std::filesystem::directory_iterator(segment_file::kSharedMemory, unreadable)) {
    if (entry.is_regular_file(unreadable)) names.insert(entry.path().filename());
  }
  return names;
}

// Those of them that this process maps.
std::set<std::string> MappedNames() {
  std::set<std::string> names;
  VisitMappings(0, [&names](const Mapping& one) {
    const std::string_view name = one.path.starts_with(segment_file::kSharedMemory)
                                      ? one.path.substr(sizeof segment_file::kSharedMemory - 1)
                                      : "";
    if (!name.empty() && name.find_first_of("/ ") == name.npos) names.emplace(name);
    return true;
  });
  return names;
}

// What the object maps by names of its own, which go if they were not there before.
std::vector<std::string> NamesOfItsOwn(const Design& design, const SegmentOptions& options) {
  const std::set<std::string> before = NamesInSharedMemory(), mapped_before = MappedNames();
  const absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (!segment.ok()) return {};
  const auto object = design.AttachObject(*segment);
  std::vector<std::string> found;
  for (const std::string& name : MappedNames()) {
    if (name == options.location.name || mapped_before.contains(name)) continue;
    found.push_back(name);
    if (!before.contains(name)) unlink((segment_file::kSharedMemory + name).c_str());
  }
  return found;
}

std::vector<std::string> FindNamesThatStay(const Design& design) {
  constexpr unsigned kMostSeconds = 20;
  SegmentOptions options;
  options.size_bytes = 64 << 10;
  options.max_participants = 8;
  options.expected_entries = 16;
  options.location = {SegmentKind::kNamed, absl::StrCat("kill9-names-", getpid())};
  int ends[2];
  if (HasOwnSharedMemory() || pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    DieWithParent(parent);
    alarm(kMostSeconds);  // an object that hangs is found to do so by what is asked of it later
    if (unshare(CLONE_NEWPID) == 0 && EnterOwnSharedMemory()) _exit(0);  // as a zygote does
    const std::string names = absl::StrJoin(NamesOfItsOwn(design, options), "/");
    static_cast<void>(write(ends[1], names.data(), names.size()) >= 0);
    _exit(0);
  }
  close(ends[1]);
  char names[4096];
  const ssize_t got = child < 0 ? 0 : read(ends[0], names, sizeof names);
  close(ends[0]);
  WaitForEnd(child);
  Segment::Unlink(options.location).IgnoreError();
  return absl::StrSplit(std::string(names, static_cast<size_t>(got < 0 ? 0 : got)), '/',
                        absl::SkipEmpty());
}

std::vector<std::string> names_that_stay;  // of the object that this process tests

}  // namespace

const std::vector<std::string>& NamesThatStay(const Design& design) {
  static const Design* asked = nullptr;
  if (asked != &design) names_that_stay = FindNamesThatStay(design);
  asked = &design;
  return names_that_stay;
}

ObjectNames::ObjectNames() : before_(NamesInSharedMemory()) {}

void ObjectNames::BelongTo(const std::string& directory) const {
  const std::set<std::string> mapped = MappedNames();
  const bool is_own = HasOwnSharedMemory();
  for (const std::string& name : NamesInSharedMemory()) {
    const bool is_ours =
        is_own || mapped.contains(name) || absl::c_linear_search(names_that_stay, name);
    if (before_.contains(name) || !is_ours) continue;
    std::error_code there_already;  // then two files have one name, and the directory's is known
    std::filesystem::create_symlink(segment_file::kSharedMemory + name, directory + "/" + name,
                                    there_already);
  }
}

}  // namespace kill9
