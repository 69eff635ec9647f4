// The models of small objects as one type: their states as words, their rules behind an interface.
// So the search, which takes seconds to compile, is compiled once for all of them.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_OBJECT_MODEL_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_OBJECT_MODEL_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "absl/container/inlined_vector.h"
#include "harness/history/history.h"

namespace kill9 {

// A state of at most three words lies in it, a longer one (of a list) beside it.
using ObjectState = absl::InlinedVector<uint64_t, 3>;

// What a model answers the search, as the functions of harness/checker/models/objects/ do.
class ObjectRules {
 public:
  virtual ~ObjectRules() = default;
  virtual ObjectState Init(bool has_versions) const = 0;
  virtual bool Step(const Operation& operation, ObjectState* state) const = 0;
  virtual bool IsObserver(const Operation& operation) const = 0;
  virtual bool Doomed(const Operation& operation, const ObjectState& state) const = 0;
  virtual bool Dominates(const ObjectState& a, const ObjectState& b) const = 0;
  virtual bool Holds(const ObjectState& state, uint64_t value) const = 0;
  virtual bool MayHaveSeen(const Operation& seer, const Operation& crashed) const = 0;
  virtual std::string DescribeState(const ObjectState& state) const = 0;
};

// The rules of a model whose state is an ObjectState, or of a fixed size.
template <typename Model>
class RulesOf final : public ObjectRules {
 public:
  using State = typename Model::State;

  ObjectState Init(bool has_versions) const override { return Pack(Model::Init(has_versions)); }
  bool Step(const Operation& operation, ObjectState* state) const override {
    if constexpr (std::is_same_v<State, ObjectState>) {
      return Model::Step(operation, state);
    } else {
      State typed = Unpack(*state);
      if (!Model::Step(operation, &typed)) return false;
      std::memcpy(state->data(), &typed, sizeof typed);  // of the size that Init gave it
      return true;
    }
  }
  bool IsObserver(const Operation& operation) const override {
    return Model::IsObserver(operation);
  }
  bool Doomed(const Operation& operation, const ObjectState& state) const override {
    return Model::Doomed(operation, Unpack(state));
  }
  bool Dominates(const ObjectState& a, const ObjectState& b) const override {
    return Model::Dominates(Unpack(a), Unpack(b));
  }
  bool Holds(const ObjectState& state, uint64_t value) const override {
    return Model::Holds(Unpack(state), value);
  }
  bool MayHaveSeen(const Operation& seer, const Operation& crashed) const override {
    return Model::MayHaveSeen(seer, crashed);
  }
  std::string DescribeState(const ObjectState& state) const override {
    return Model::DescribeState(Unpack(state));
  }

 private:
  static decltype(auto) Unpack(const ObjectState& state) {
    if constexpr (std::is_same_v<State, ObjectState>) {
      return (state);
    } else {
      State typed;
      std::memcpy(static_cast<void*>(&typed), state.data(), sizeof typed);
      return typed;
    }
  }
  static ObjectState Pack(const State& state) {
    if constexpr (std::is_same_v<State, ObjectState>) {
      return state;
    } else {
      // Equal states are equal words.
      static_assert(std::has_unique_object_representations_v<State>);
      ObjectState words((sizeof state + sizeof(uint64_t) - 1) / sizeof(uint64_t), 0);
      std::memcpy(words.data(), &state, sizeof state);
      return words;
    }
  }
};

// The model that the search is compiled for.
struct ObjectModel {
  using State = ObjectState;
  const ObjectRules* rules = nullptr;

  State Init(bool has_versions) const { return rules->Init(has_versions); }
  bool Step(const Operation& operation, State* state) const {
    return rules->Step(operation, state);
  }
  bool IsObserver(const Operation& operation) const { return rules->IsObserver(operation); }
  bool Doomed(const Operation& operation, const State& state) const {
    return rules->Doomed(operation, state);
  }
  bool Dominates(const State& a, const State& b) const { return rules->Dominates(a, b); }
  bool Holds(const State& state, uint64_t value) const { return rules->Holds(state, value); }
  bool MayHaveSeen(const Operation& seer, const Operation& crashed) const {
    return rules->MayHaveSeen(seer, crashed);
  }
  std::string DescribeState(const State& state) const { return rules->DescribeState(state); }
  static uint64_t Hash(const State& state) {
    uint64_t hash = state.size();
    for (const uint64_t word : state) hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_OBJECT_MODEL_H_
