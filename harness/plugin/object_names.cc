#include "harness/plugin/object_names.h"

#include <filesystem>
#include <system_error>

#include "harness/base/namespaces/namespaces.h"
#include "variants/segment/file/segment_file.h"

namespace kill9 {

void ObjectNames::BelongTo(const std::string& directory) const {
  for (const std::string& name : Names()) {
    if (before_.contains(name)) continue;
    std::error_code there_already;  // then two files have one name, and the directory's is known
    std::filesystem::create_symlink(segment_file::kSharedMemory + name, directory + "/" + name,
                                    there_already);
  }
}

std::set<std::string> ObjectNames::Names() {
  std::set<std::string> names;
  if (!HasOwnSharedMemory()) return names;  // another program's may come at any time
  std::error_code unreadable;
  for (const auto& entry :
       std::filesystem::directory_iterator(segment_file::kSharedMemory, unreadable)) {
    if (entry.is_regular_file(unreadable)) names.insert(entry.path().filename());
  }
  return names;
}

}  // namespace kill9
