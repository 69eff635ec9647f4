// A fork server of kill9 (docs/bring_your_own.md): a robust mutex of pthread in anonymous memory,
// made before the fork. One that is not robust (argument "plain") stays its dead owner's.
//     gcc -o robust_mutex_server robust_mutex_server.c
//     kill9 torture --fork-server=./robust_mutex_server --model=robust-mutex
//     kill9 torture --fork-server='./robust_mutex_server plain' --model=robust-mutex --watchdog=1
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void Serve(pthread_mutex_t* mutex, FILE* requests, FILE* answers) {
  char line[4096];
  while (fgets(line, sizeof line, requests) != NULL) {
    const char* value = "null";
    if (strstr(line, "\"f\":\"acquire\"")) {
      int result = pthread_mutex_lock(mutex);
      if (result == EOWNERDEAD) pthread_mutex_consistent(mutex);
      if (result != 0 && result != EOWNERDEAD) exit(2);
      value = result == EOWNERDEAD ? "\"owner-died\"" : "true";
    } else if (strstr(line, "\"f\":\"release\"")) {
      pthread_mutex_unlock(mutex);
    }
    fprintf(answers, "{\"id\":%ld,\"type\":\"ok\",\"value\":%s}\n",
            atol(strstr(line, "\"id\":") + 5), value);
    fflush(answers);
  }
}

int main(int argc, char** argv) {
  pthread_mutex_t* mutex =
      mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mutex == MAP_FAILED) return 1;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (argc < 2 || strcmp(argv[1], "plain") != 0) {
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  }
  pthread_mutex_init(mutex, &attributes);

  signal(SIGCHLD, SIG_IGN);
  for (int connection; (connection = accept(3, NULL, NULL)) >= 0; close(connection)) {
    if (fork() != 0) continue;
    Serve(mutex, fdopen(connection, "r"), fdopen(dup(connection), "w"));
    return 0;
  }
  return 1;
}
