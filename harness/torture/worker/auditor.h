// The audit of a quiet segment, driven through one client while every other worker is parked:
// recovery until nothing is left to recover, the exact account, the contents; and, as deep as
// asked, filling the object until it is full and emptying it, which shows leaks and cut free lists
// that an account of a half-full segment may not.
#ifndef KILL9_HARNESS_TORTURE_WORKER_AUDITOR_H_
#define KILL9_HARNESS_TORTURE_WORKER_AUDITOR_H_

#include "harness/torture/worker/client.h"

namespace kill9 {

// REQUIRES: the client is attached, nothing else is under way. Returns only if the audit found
// nothing; its findings are audit_failed, leak or violation.
void RunAudit(Client& client, AuditDepth depth);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_WORKER_AUDITOR_H_
