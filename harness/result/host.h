// The machine that a result was measured on: what it is, and what its kernel's services cost.
// Figures of two hosts compare only where these do.
#ifndef KILL9_HARNESS_RESULT_HOST_H_
#define KILL9_HARNESS_RESULT_HOST_H_

#include <cstdint>

#include "nlohmann/json.hpp"

namespace kill9 {

// System, kernel, machine, processor, cores, memory; the hypervisor's name, "none" on bare metal;
// "page_fault_us", the median first touch of a private page, and "fork_us", the median fork, exit
// and wait of a child (null where it cannot be measured). Some milliseconds on the first call.
const nlohmann::ordered_json& DescribeHost();

uint64_t MemoryBytes();  // that the machine has

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_HOST_H_
