#include "harness/stepper/trace/symbols.h"

#include <capstone/capstone.h>
#include <cxxabi.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <sys/uio.h>

#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/stepper/trace/inlined_calls.h"

namespace kill9::stepper {

struct Symbols::State {
  pid_t pid = 0;
  Dwfl* dwfl = nullptr;
  Dwfl_Module* program = nullptr;
  mutable std::unordered_map<uint64_t, SourceLine> lines;
  mutable std::unordered_map<uint64_t, SourceLine> lines_of_ours;
  mutable std::unordered_map<const void*, InlinedCalls> calls;  // of each unit, where libdw has it
};

Symbols::Symbols(pid_t pid) : state_(std::make_unique<State>()) {
  static char* debug_path = nullptr;
  static const Dwfl_Callbacks kCallbacks = {dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo,
                                            nullptr, &debug_path};
  state_->pid = pid;
  state_->dwfl = dwfl_begin(&kCallbacks);
  if (state_->dwfl == nullptr) return;
  dwfl_report_begin(state_->dwfl);
  dwfl_linux_proc_report(state_->dwfl, pid);
  dwfl_report_end(state_->dwfl, nullptr, nullptr);
  // A worker runs this very program, at the address where programs begin when nothing is random.
  for (Dwarf_Addr address : {Dwarf_Addr{0x555555554000}, Dwarf_Addr{0x400000}}) {
    if (state_->program == nullptr) state_->program = dwfl_addrmodule(state_->dwfl, address);
  }
}

Symbols::~Symbols() {
  if (state_->dwfl != nullptr) dwfl_end(state_->dwfl);
}

SourceLine Symbols::Line(uint64_t address) const {
  auto [found, fresh] = state_->lines.try_emplace(address);
  if (!fresh || state_->dwfl == nullptr) return found->second;
  Dwfl_Line* line = dwfl_getsrc(state_->dwfl, address);
  int number = 0;
  const char* file =
      line == nullptr ? nullptr : dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr);
  if (file != nullptr) found->second = {file, number};
  return found->second;
}

// kill9's own headers for objects, and a compiler's, lie wherever they were installed.
bool IsOfLibrary(std::string_view file) {
  return file.starts_with("/usr/") || file.find("/include/kill9/") != std::string_view::npos ||
         file.find("/include/c++/") != std::string_view::npos;
}

SourceLine Symbols::LineOfOurs(uint64_t address) const {
  auto [found, fresh] = state_->lines_of_ours.try_emplace(address);
  SourceLine& place = found->second;
  if (!fresh) return place;
  place = Line(address);
  // Line 0: the compiler has merged several.
  const auto is_known = [&] { return place.line != 0 && !IsOfLibrary(place.file); };
  if (state_->dwfl == nullptr || is_known()) return place;
  Dwarf_Addr bias = 0;
  Dwarf_Die* unit = dwfl_addrdie(state_->dwfl, address, &bias);
  if (unit == nullptr) return place;
  state_->calls.try_emplace(unit->addr, *unit)
      .first->second.ForEachAround(address - bias, [&](const char* file, int line) {
        place = {file, line};
        return !is_known();
      });
  return place;
}

namespace {

// The program, wherever it is installed, and what was loaded from elsewhere than the distribution's
// folders: a plugin.
bool IsModuleOfOurs(Dwfl_Module* module, Dwfl_Module* program) {
  const char* name = module == nullptr ? nullptr
                                       : dwfl_module_info(module, nullptr, nullptr, nullptr,
                                                          nullptr, nullptr, nullptr, nullptr);
  if (name == nullptr) return false;
  const std::string_view path(name);
  return module == program ||
         (path.starts_with("/") && !path.starts_with("/usr/") && !path.starts_with("/lib"));
}

}  // namespace

bool Symbols::IsOurs(uint64_t address) const {
  return state_->dwfl != nullptr &&
         IsModuleOfOurs(dwfl_addrmodule(state_->dwfl, address), state_->program);
}

std::string Symbols::Function(uint64_t address) const {
  Dwfl_Module* module = state_->dwfl == nullptr ? nullptr : dwfl_addrmodule(state_->dwfl, address);
  const char* name = module == nullptr ? nullptr : dwfl_module_addrname(module, address);
  if (name == nullptr) return "?";
  int status = 0;
  char* demangled = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string text = status == 0 ? demangled : name;
  std::free(demangled);
  return text;
}

void Symbols::Unwind(int (*take)(Dwfl_Frame*, void*), void* argument) const {
  if (state_->dwfl == nullptr) return;
  if (dwfl_linux_proc_attach(state_->dwfl, state_->pid, /*assume_ptrace_stopped=*/false) != 0) {
    return;
  }
  dwfl_getthread_frames(state_->dwfl, state_->pid, take, argument);
}

std::string Symbols::Describe(uint64_t address) const {
  unsigned char code[15] = {};
  iovec local{code, sizeof code};
  iovec remote{reinterpret_cast<void*>(address), sizeof code};
  std::string text = "?";
  ssize_t got = process_vm_readv(state_->pid, &local, 1, &remote, 1, 0);
  csh engine = 0;
  if (got > 0 && cs_open(CS_ARCH_X86, CS_MODE_64, &engine) == CS_ERR_OK) {
    cs_insn* instruction = nullptr;
    if (cs_disasm(engine, code, static_cast<size_t>(got), address, 1, &instruction) == 1) {
      text = absl::StrCat(instruction->mnemonic, " ", instruction->op_str);
      cs_free(instruction, 1);
    }
    cs_close(&engine);
  }
  SourceLine line = Line(address);
  std::string place =
      line.file.empty() ? "" : absl::StrCat(" at ", ShortPath(line.file), ":", line.line);
  return absl::StrCat("`", text, "` in ", Function(address), place);
}

namespace {

using FileFilter = std::function<bool(std::string_view file)>;
using LineVisitor = std::function<void(const std::string& file, int line)>;

void ForEachLineOf(Dwfl_Module* module, const FileFilter& wanted, const LineVisitor& visit) {
  Dwarf_Addr bias = 0;
  Dwarf_Die* unit = nullptr;
  while ((unit = dwfl_module_nextcu(module, unit, &bias)) != nullptr) {
    Dwarf_Lines* lines = nullptr;
    size_t count = 0;
    if (dwarf_getsrclines(unit, &lines, &count) != 0) continue;
    std::unordered_map<const void*, bool> is_wanted;  // a unit has each name once
    for (size_t n = 0; n < count; ++n) {
      Dwarf_Line* line = dwarf_onesrcline(lines, n);
      int number = 0;
      bool is_statement = false, ends = false;
      const char* file = dwarf_linesrc(line, nullptr, nullptr);
      if (file == nullptr || dwarf_lineno(line, &number) != 0 || number == 0) continue;
      dwarf_linebeginstatement(line, &is_statement);
      dwarf_lineendsequence(line, &ends);
      if (ends) continue;
      auto [known, fresh] = is_wanted.try_emplace(file);
      if (fresh) known->second = wanted(file);
      if (known->second) visit(file, number);
    }
  }
}

struct ModuleList {
  Dwfl_Module* program = nullptr;
  std::vector<Dwfl_Module*> modules;
};

int TakeModuleOfOurs(Dwfl_Module* module, void**, const char*, Dwarf_Addr, void* argument) {
  auto* list = static_cast<ModuleList*>(argument);
  if (IsModuleOfOurs(module, list->program)) list->modules.push_back(module);
  return DWARF_CB_OK;
}

}  // namespace

void Symbols::ForEachLineWithCode(const FileFilter& wanted, const LineVisitor& visit) const {
  ModuleList list{.program = state_->program, .modules = {}};
  if (state_->dwfl != nullptr) dwfl_getmodules(state_->dwfl, TakeModuleOfOurs, &list, 0);
  for (Dwfl_Module* module : list.modules) ForEachLineOf(module, wanted, visit);
}

bool IsOfTheObject(std::string_view name) {
  if (name.empty()) return false;
  const std::string file = ShortPath(name);
  if (file.starts_with("variants/")) return true;
  for (const std::string_view folder : {"harness/", "stress/", "property/"}) {
    if (file.starts_with(folder)) return false;
  }
  return !IsOfLibrary(name) && !file.starts_with("./") && !file.starts_with("../");
}

std::string ShortPath(std::string_view file) {
  for (std::string_view folder : {"/variants/", "/harness/", "/stress/", "/property/"}) {
    size_t at = file.rfind(folder);
    if (at != std::string_view::npos) return std::string(file.substr(at + 1));
  }
  return std::string(file);
}

}  // namespace kill9::stepper
