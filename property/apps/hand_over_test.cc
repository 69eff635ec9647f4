// Connections that workers give to each other.
#include "apps/server/hand_over.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "gtest/gtest.h"

namespace kill9::server {
namespace {

class HandOverTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = HandOver::Make(3);
    ASSERT_TRUE(made.ok());
    hand_over_ = *std::move(made);
    ASSERT_EQ(pipe(pipe_), 0);
  }
  void TearDown() override {
    close(pipe_[0]);
    if (pipe_[1] >= 0) close(pipe_[1]);
  }
  // Sends the pipe's end, which only the receiver has then.
  void Give(int to) {
    ASSERT_TRUE(hand_over_->Send(to, {.from = 1, .connection = pipe_[1]}));
    close(pipe_[1]);
    pipe_[1] = -1;
  }
  void ExpectConnectionFor(int worker) {
    HandOver::Letter letter;
    ASSERT_TRUE(hand_over_->Take(worker, &letter));
    EXPECT_EQ(letter.from, 1);
    ASSERT_GE(letter.connection, 0);
    EXPECT_EQ(write(letter.connection, "x", 1), 1);
    close(letter.connection);
    char byte = 0;
    EXPECT_EQ(read(pipe_[0], &byte, 1), 1);
    EXPECT_EQ(read(pipe_[0], &byte, 1), 0) << "somebody else has it, too";
  }

  std::unique_ptr<HandOver> hand_over_;
  int pipe_[2];
};

TEST_F(HandOverTest, AsksAndGivesComeToWhomTheyWereSent) {
  HandOver::Letter letter;
  EXPECT_FALSE(hand_over_->Take(0, &letter)) << "it does not wait";
  ASSERT_TRUE(hand_over_->Send(0, {.from = 2}));
  Give(0);
  EXPECT_FALSE(hand_over_->Take(1, &letter));
  ASSERT_TRUE(hand_over_->Take(0, &letter));
  EXPECT_EQ(letter.from, 2);
  EXPECT_EQ(letter.connection, -1);
  ExpectConnectionFor(0);
}

TEST_F(HandOverTest, WhatCameToADeadWorkerIsTheNextOnes) {
  const pid_t worker = fork();
  if (worker == 0) pause();
  Give(0);
  kill(worker, SIGKILL);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
  ExpectConnectionFor(0);
}

TEST_F(HandOverTest, NobodyWaitsForWhoReadsNothing) {
  int sent = 0;
  while (sent < 100000 && hand_over_->Send(0, {.from = 1})) ++sent;
  EXPECT_LT(sent, 100000);
  EXPECT_TRUE(hand_over_->Send(2, {.from = 1}));
}

}  // namespace
}  // namespace kill9::server
