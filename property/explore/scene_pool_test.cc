// Scenes side by side: what is told does not depend on how many, nor on which ends first.
#include "stress/command/explore/scene_pool.h"

#include <unistd.h>

#include <csignal>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stress/command/arguments/options.h"
#include "stress/command/interrupts.h"

namespace kill9 {
namespace {

using ::testing::ElementsAre;

class ScenePoolTest : public testing::Test {
 protected:
  ~ScenePoolTest() override { is_interrupted = 0; }

  ScenePool Pool(bool fail_fast = false) {
    return ScenePool({.processes = 3,
                      .fail_fast = fail_fast,
                      .lines = [this]() -> std::ostream& { return lines_; }},
                     &runs_, &exit_);
  }
  // Work that says its name, after `first`.
  ScenePool::Work Says(
      const std::string& name, int exit_code = kExitPass,
      const std::function<void()>& first = [] {}) {
    return [this, name, exit_code, first](Json* runs) {
      first();
      lines_ << name << "\n";
      runs->push_back(name);
      return exit_code;
    };
  }
  ScenePool::Ended Ended() {
    return [this](Verdict verdict, const std::string& how, Json* runs) {
      lines_ << VerdictName(verdict) << ": " << how << "\n";
      runs->push_back(VerdictName(verdict));
      return ExitCode(verdict);
    };
  }
  std::vector<std::string> Runs() const { return runs_.get<std::vector<std::string>>(); }

  std::ostringstream lines_;
  Json runs_ = Json::array();
  int exit_ = kExitPass;
};

TEST_F(ScenePoolTest, TellsInTheOrderOfTheScenesAndNotOfTheirEnds) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ScenePool pool = Pool();
  // The first one ends after the second.
  char token = 0;
  pool.Begin(Says("first", kExitUndecided, [&] { (void)!read(ends[0], &token, 1); }), Ended());
  pool.Begin(Says("second", kExitPass, [&] { (void)!write(ends[1], "x", 1); }), Ended());
  pool.Begin(Says("third"), Ended());
  pool.Begin(Says("fourth"), Ended());
  pool.Finish();
  EXPECT_THAT(Runs(), ElementsAre("first", "second", "third", "fourth"));
  EXPECT_EQ(lines_.str(), "first\nsecond\nthird\nfourth\n");
  EXPECT_EQ(exit_, kExitUndecided);
}

TEST_F(ScenePoolTest, WhatEndsItsProcessIsFoundAndTheOthersGoOn) {
  ScenePool pool = Pool();
  pool.Begin(Says("first", kExitPass, [] { std::signal(SIGABRT, SIG_DFL), raise(SIGABRT); }),
             Ended());
  pool.Begin(Says("second"), Ended());
  pool.Begin(Says("third", kExitPass, [] { raise(SIGKILL); }), Ended());
  pool.Finish();
  EXPECT_THAT(Runs(), ElementsAre("survivor_crashed", "second", "undecided"));
  EXPECT_EQ(exit_, kExitFailed);
}

TEST_F(ScenePoolTest, FailFastTellsNothingBehindTheFirstThatFails) {
  ScenePool pool = Pool(/*fail_fast=*/true);
  pool.Begin(Says("first", kExitPass, [] { usleep(20'000); }), Ended());
  pool.Begin(Says("second", kExitFailed), Ended());
  pool.Begin(Says("third", kExitFailed), Ended());
  pool.Finish();
  EXPECT_THAT(Runs(), ElementsAre("first", "second"));
  EXPECT_EQ(exit_, kExitFailed);
}

TEST_F(ScenePoolTest, WrongUsageIsThrownOn) {
  ScenePool pool = Pool();
  pool.Begin(Says("first", kExitPass, [] { throw UsageError("there is no such scene"); }), Ended());
  EXPECT_THROW(pool.Finish(), UsageError);
}

TEST_F(ScenePoolTest, InterruptOfTheFirstProcessAloneEndsAll) {
  NoteInterrupts();
  ScenePool pool = Pool();
  // Each goes on until it is told.
  const auto waits = [] {
    while (is_interrupted == 0) usleep(1'000);
  };
  pool.Begin(Says("first", kExitUndecided, waits), Ended());
  pool.Begin(Says("second", kExitUndecided, waits), Ended());
  raise(SIGINT);
  pool.Finish();
  EXPECT_THAT(Runs(), ElementsAre("first", "second"));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
}

}  // namespace
}  // namespace kill9
