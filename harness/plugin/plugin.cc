#include "harness/plugin/plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/plugin/object_calls.h"
#include "harness/plugin/object_design.h"
#include "harness/plugin/object_names.h"

namespace kill9 {
namespace {

constexpr size_t kNameBytesMost = 31;  // of a segment's design

struct Given {
  std::string key, value;
  Version version;
};

// One call and what it gives.
struct Exchange {
  kill9_call call = {};
  std::string* value = nullptr;  // of get
  std::vector<Given>* entries = nullptr;

  Exchange(uint32_t operation, std::string_view key) {
    call.struct_size = sizeof call;
    call.operation = operation;
    call.key = key.data();
    call.key_bytes = key.size();
    call.receiver = this;
    call.give = [](kill9_call* by, const char* given_key, size_t key_bytes, const char* given,
                   size_t bytes, uint64_t version) {
      Exchange& self = *static_cast<Exchange*>(by->receiver);
      if (self.value != nullptr) self.value->assign(given, bytes);
      if (self.entries == nullptr) return;
      self.entries->push_back(
          {std::string(given_key, key_bytes), std::string(given, bytes), version});
    };
  }
};

class PluginStore final : public CopyingStore {
 public:
  PluginStore(const kill9_object& object, std::shared_ptr<Segment> segment, void* handle)
      : CopyingStore(object.name, std::move(segment)), object_(object), handle_(handle) {}
  ~PluginStore() override {
    if (guard().mine()) object_.detach(handle_);
  }

  size_t max_key_bytes() const override { return object_.max_key_bytes; }
  size_t max_value_bytes() const override { return object_.max_value_bytes; }

 private:
  absl::Status Call(Exchange& exchange) {
    return StatusOf(object_.name, object_.call(handle_, &exchange.call));
  }
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    Exchange put(KILL9_PUT, key);
    put.call.value = value.data();
    put.call.value_bytes = value.size();
    if (absl::Status status = Call(put); !status.ok()) return status;
    return put.call.version;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    Exchange get(KILL9_GET, key);
    get.value = value;
    if (absl::Status status = Call(get); !status.ok()) return status;
    return get.call.version;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    Exchange erase(KILL9_ERASE, key);
    const absl::Status status = Call(erase);
    if (absl::IsNotFound(status)) return false;
    if (!status.ok()) return status;
    return true;
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override {
    Exchange swap(KILL9_COMPARE_AND_SWAP, key);
    swap.call.value = value.data();
    swap.call.value_bytes = value.size();
    swap.call.expected = expected;
    const int outcome = object_.call(handle_, &swap.call);
    if (outcome == KILL9_MISMATCH) return CasResult{false, swap.call.version};
    if (absl::Status status = StatusOf(object_.name, outcome); !status.ok()) return status;
    return CasResult{true, swap.call.version};
  }
  // The object may hold a lock while it gives; the visitor may call the store.
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    std::vector<Given> entries;
    Exchange all(KILL9_VISIT, "");
    all.entries = &entries;
    if (absl::Status status = Call(all); !status.ok()) return status;
    for (const Given& entry : entries) {
      if (!visit({entry.key, entry.value, entry.version})) break;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<RecoveryReport> DoRecover() override { return RecoverObject(object_, handle_); }
  absl::StatusOr<AuditReport> DoAudit() override {
    if (object_.audit == nullptr) return Lacks("Audit");
    return AuditObject(object_, handle_);
  }

  const kill9_object& object_;
  void* handle_;
};

class PluginDesign final : public DesignOfObject<Variant> {
 public:
  explicit PluginDesign(const kill9_object& object) : DesignOfObject(object) {
    TellTraits(traits_);
    traits_.has_pin = traits_.has_draft = false;
    traits_.lossless = std::string_view(object.model) == "map";
    traits_.has_versions = (object.flags & KILL9_HAS_VERSIONS) != 0;
    traits_.has_compare_and_swap = (object.flags & KILL9_HAS_COMPARE_AND_SWAP) != 0;
    longest_value_ = static_cast<uint32_t>(
        std::min<uint64_t>(object.max_value_bytes, std::numeric_limits<uint32_t>::max()));
    traits_.edges.value_bytes = {&longest_value_, 1};
    traits_.edges.max_key_bytes =
        static_cast<uint32_t>(std::min<uint64_t>(object.max_key_bytes, 1u << 20));
  }

  const Traits& traits() const override { return traits_; }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    const absl::StatusOr<void*> handle = AttachHandle(*segment);
    if (!handle.ok()) return handle.status();
    return std::make_unique<PluginStore>(object(), std::move(segment), *handle);
  }

 private:
  Traits traits_;
  uint32_t longest_value_ = 0;
};

bool IsOfStores(std::string_view model) { return model == "map" || model == "cache"; }

// Empty: nothing is.
std::string WhatIsWrong(const kill9_object& object) {
  if (object.struct_size < sizeof(kill9_object)) return "its table is shorter than version 1's";
  if (object.version != KILL9_VERSION_OF_INTERFACE) return "it is of another version of kill9.h";
  if (object.name == nullptr || object.summary == nullptr || object.model == nullptr) {
    return "it has no name, no summary or no model";
  }
  const std::string_view name = object.name, model = object.model;
  const bool named = !name.empty() && name.size() <= kNameBytesMost &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
                     });
  if (!named) return "its name is not of at most 31 small letters, digits and _";
  const std::vector<std::string> models = ModelsOfObjects();
  if (!IsOfStores(model) && !absl::c_linear_search(models, model)) {
    return absl::StrCat("its model '", std::string(model), "' is none of map, cache, ",
                        absl::StrJoin(models, ", "));
  }
  if (IsOfStores(model) && object.max_key_bytes < 250) return "its keys are shorter than 250 bytes";
  if (object.create == nullptr || object.attach == nullptr || object.detach == nullptr ||
      object.call == nullptr) {
    return "it lacks create, attach, detach or call";
  }
  return "";
}

}  // namespace

kill9_room RoomOf(const peers::Anchor& anchor) {
  const uint64_t entries = anchor.expected_entries;
  return {.struct_size = sizeof(kill9_room),
          .directory = anchor.directory,
          .bytes = anchor.size_bytes,
          .entries = entries != 0 ? entries : kEntriesOfObject,
          .participants = anchor.max_participants};
}

absl::StatusOr<std::unique_ptr<Design>> DesignOf(const kill9_object& object) {
  if (const std::string wrong = WhatIsWrong(object); !wrong.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the object cannot be tested: ", wrong));
  }
  if (IsOfStores(object.model)) return std::make_unique<PluginDesign>(object);
  return std::make_unique<PluginObjectDesign>(object);
}

namespace {

absl::StatusOr<const kill9_object*> Load(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return absl::NotFoundError(absl::StrCat("--plugin: it cannot be loaded: ", dlerror()));
  void* const function = dlsym(library, "kill9_object_1");
  if (function == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "--plugin: ", path, " has no function kill9_object_1 (include/kill9/kill9.h)"));
  }
  const kill9_object* object = reinterpret_cast<const kill9_object* (*)()>(function)();
  if (object != nullptr) return object;
  return absl::NotFoundError(absl::StrCat("--plugin: ", path, " gives no object"));
}

std::string HowItEnded(int status) {
  return WIFSIGNALED(status) ? absl::StrCat("by signal ", WTERMSIG(status))
                             : absl::StrCat("with exit status ", WEXITSTATUS(status));
}

// A library that ends its process while it is loaded would end kill9, with whatever status it
// likes: it does so to a child first.
absl::Status LoadInAChild(const std::string& path) {
  int lives[2];
  if (pipe2(lives, O_CLOEXEC) != 0) return absl::UnavailableError("--plugin: no pipe can be made");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    DieWithParent(parent);
    static_cast<void>(Load(path).ok());  // what is wrong with it is told once, below
    static_cast<void>(write(lives[1], "", 1) == 1);
    _exit(0);
  }
  close(lives[1]);
  char byte = 0;
  ssize_t got = 0;
  while (child > 0 && (got = read(lives[0], &byte, 1)) < 0 && errno == EINTR) {
  }
  close(lives[0]);
  if (child < 0) return absl::UnavailableError("--plugin: cannot fork");
  int status = 0;
  pid_t reaped = 0;
  while ((reaped = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  if (got == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--plugin: ", path, " ends the process that loads it",
                   reaped == child ? absl::StrCat(", ", HowItEnded(status)) : ""));
}

}  // namespace

absl::StatusOr<const kill9_object*> LoadPlugin(const std::string& path) {
  if (absl::Status status = LoadInAChild(path); !status.ok()) return status;
  return Load(path);
}

std::string WhyPluginIsNotSwept(const Design& design) {
  const auto* plugin = dynamic_cast<const OfObject*>(&design);
  if (plugin == nullptr) return "";
  if ((plugin->object().flags & KILL9_HAS_THREADS) != 0) {
    return "it has threads of its own, and a sweep steps through one thread: kill9 torture takes "
           "it";
  }
  const std::vector<std::string>& names = NamesThatStay(design);
  if (names.empty()) return "";
  return absl::StrCat("it has a name of its own, /dev/shm/", names.front(),
                      ", and this machine refuses the namespaces in which a sweep puts that back "
                      "before each kill: kill9 torture takes it");
}

}  // namespace kill9
