// A worker of kill9 (docs/bring_your_own.md): a robust mutex of pthread in a mapped file. Its next
// owner is told that the last one died. One that is not robust (argument "plain") stays held.
//     gcc -o robust_mutex robust_mutex.c
//     kill9 torture --worker=./robust_mutex --model=robust-mutex
//     kill9 torture --worker='./robust_mutex plain' --model=robust-mutex
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t* Open(const char* line, int robust) {
  char path[512] = "";
  sscanf(strstr(line, "\"state\":\"") + 9, "%400[^\"]", path);
  strcat(path, "/mutex");
  int file = open(path, O_RDWR | O_CREAT, 0666);
  if (file < 0 || ftruncate(file, sizeof(pthread_mutex_t)) != 0) exit(1);
  pthread_mutex_t* mutex =
      mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mutex == MAP_FAILED) exit(1);
  if (strstr(line, "\"first\":true") == NULL) return mutex;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attributes);
  return mutex;
}

int main(int argc, char** argv) {
  pthread_mutex_t* mutex = NULL;
  char line[4096];
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    const char* value = "null";
    if (strstr(line, "\"f\":\"init\"")) {
      mutex = Open(line, argc < 2 || strcmp(argv[1], "plain") != 0);
    } else if (strstr(line, "\"f\":\"acquire\"")) {
      int result = pthread_mutex_lock(mutex);
      if (result == EOWNERDEAD) pthread_mutex_consistent(mutex);
      value = result == EOWNERDEAD ? "\"owner-died\"" : "true";
      if (result != 0 && result != EOWNERDEAD) exit(2);
    } else {
      pthread_mutex_unlock(mutex);
    }
    printf("{\"id\":%ld,\"type\":\"ok\",\"value\":%s}\n", atol(strstr(line, "\"id\":") + 5), value);
  }
  return 0;
}
