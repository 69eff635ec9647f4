#include "variants/registry.h"
namespace kill9 {
const Variant& GlobalMutex();
const Variant& GlobalMutex() { __builtin_trap(); }
}
