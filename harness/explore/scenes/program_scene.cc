#include "harness/explore/scenes/program_scene.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "harness/explore/base/arena.h"

namespace kill9::explore {

ProgramScene::~ProgramScene() {
  if (memory_ != nullptr) munmap(memory_, program_.bytes);
}

void ProgramScene::Make() {
  void* memory =
      mmap(nullptr, program_.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("kill9-explore: cannot map a program's memory");
    std::abort();
  }
  memory_ = static_cast<char*>(memory);
  Machine::Get().NoteMapping(memory_, program_.bytes);
  program_.prepare(memory_);
}

void ProgramScene::Run(int participant) {
  Machine& machine = Machine::Get();
  const auto number = static_cast<size_t>(participant);
  std::array<uint64_t, kProgramResults> results = {};
  machine.BeginOperation("call", program_.must_not_wait);
  program_.run(memory_, participant, results.data());
  uint64_t hash = 1;
  for (const uint64_t result : results) hash = Mix(hash, result);
  machine.EndOperation(hash);
  outcome_.results[number] = results;
  outcome_.returned[number] = true;
  machine.AfterOperation();
}

Finding ProgramScene::Judge() {
  // Whoever did not return left here what it told in an earlier schedule.
  for (int i = 0; i < program_.participants; ++i) {
    if (!Machine::Get().returned(i)) outcome_.results[static_cast<size_t>(i)] = {};
    outcome_.returned[static_cast<size_t>(i)] = Machine::Get().returned(i);
  }
  {
    const OutsideArena outside;
    outcomes_.insert(outcome_);
  }
  const std::string wrong = program_.judge(memory_, outcome_);
  if (wrong.empty()) return {};
  return {Verdict::kViolation, wrong};
}

}  // namespace kill9::explore
