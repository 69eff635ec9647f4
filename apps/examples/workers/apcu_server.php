<?php
// A fork server of kill9 (docs/bring_your_own.md): PHP's APCu, whose memory is shared by fork, as
// php-fpm's workers share it. A reader that is killed in it holds its lock for ever.
//     kill9 torture --fork-server='php -d apc.enable_cli=1 apcu_server.php' --model=cache
$libc = FFI::cdef("int accept(int, void*, void*); int close(int);", "libc.so.6");
apcu_store("ready", 1);
pcntl_signal(SIGCHLD, SIG_IGN);
while (true) {
  $fd = $libc->accept(3, null, null);
  if ($fd < 0) exit(1);
  if (pcntl_fork() != 0) {
    $libc->close($fd);
    continue;
  }
  $libc->close(3);
  $stream = fopen("php://fd/$fd", "r+");
  while (($line = fgets($stream)) !== false) {
    $call = json_decode($line, true);
    $answer = ["id" => $call["id"], "type" => "ok"];
    if ($call["f"] == "put") {
      if (!apcu_store($call["key"], $call["value"])) $answer["type"] = "fail";
    } elseif ($call["f"] == "get") {
      $value = apcu_fetch($call["key"], $found);
      $answer["value"] = $found ? $value : null;
    } elseif ($call["f"] == "erase") {
      apcu_delete($call["key"]);
    }
    fwrite($stream, json_encode($answer) . "\n");
  }
  exit(0);
}
