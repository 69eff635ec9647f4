// What a process has for its own, where the machine allows namespaces.
#ifndef KILL9_HARNESS_BASE_NAMESPACES_NAMESPACES_H_
#define KILL9_HARNESS_BASE_NAMESPACES_NAMESPACES_H_

namespace kill9 {

// Who is not root becomes it in a user namespace of its own, and keeps its name there. False: the
// machine refuses, and errno says why.
bool EnterUserNamespace();

// An empty /dev/shm, in a namespace of mounts of its own: for this process and its children. False:
// as above.
bool EnterOwnSharedMemory();
// The same in a namespace of mounts that this process has for its own already.
bool MountOwnSharedMemory();
// Whether this process, or one that it descends from, has done that: also across execve.
bool HasOwnSharedMemory();

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_NAMESPACES_NAMESPACES_H_
