// Connections that one worker gives to another. A worker that has just begun has none, and as long
// as its clients keep theirs nobody comes: it asks a busy one for some of them.
//
// Only who is asked gives: a worker that stands still asks for nothing, and gets nothing.
//
// ON CRASH: what was sent to a worker that has died waits for the next one in its place.
#ifndef KILL9_APPS_SERVER_HAND_OVER_H_
#define KILL9_APPS_SERVER_HAND_OVER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace kill9::server {

class HandOver {
 public:
  // Called before the fork: all workers share it.
  static absl::StatusOr<std::unique_ptr<HandOver>> Make(int workers);
  ~HandOver();
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;

  // Readable when something has come for this worker.
  int Inbox(int worker) const { return pairs_[static_cast<size_t>(worker)].in; }

  struct Letter {
    int from = 0;  // asks for a connection, unless it brings one
    int connection = -1;
  };

  // Asks for a connection, of the worker that has the most if it would still have as many as this
  // one. `connections(i)`: how many worker i has, or about so many; 0 where it does not run.
  void Ask(int worker, absl::FunctionRef<uint64_t(int)> connections) const;
  // Answers who asks: gives it one of the own connections that may be given away, if it has so few
  // that this worker then still has as many. REQUIRES: Close() of one leaves the socket as it is.
  template <typename All>
  void Give(int worker, int to, const All& all, uint64_t theirs) const {
    if (all.size() <= theirs + 1) return;
    for (const auto& one : all) {
      if (!one->may_be_given_away()) continue;
      if (Send(to, {.from = worker, .connection = one->fd()})) one->Close();
      return;
    }
  }
  // False: it could not be sent now. Whose connection was sent may close it.
  bool Send(int to, const Letter& letter) const;
  // False: there is none.
  bool Take(int worker, Letter* letter) const;

 private:
  struct Pair {
    int in = -1;
    int out = -1;
  };
  HandOver() = default;

  std::vector<Pair> pairs_;
};

}  // namespace kill9::server

#endif  // KILL9_APPS_SERVER_HAND_OVER_H_
