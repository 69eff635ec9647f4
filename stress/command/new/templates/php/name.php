<?php
// A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
// With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
$faulty = array_slice($argv, 1) === ["faulty"];
while (($line = fgets(STDIN)) !== false) {
    $call = json_decode($line, true);
    $answer = ["id" => $call["id"], "type" => "ok"];
    if ($call["f"] === "init") {
        $state = $call["state"];
        $lock = fopen("$state/lock", "c");
    } else {
        $path = "$state/" . $call["key"];
        flock($lock, LOCK_EX);
        clearstatcache();
        $there = file_exists($path);
        if ($call["f"] === "put") {
            $written = $faulty ? $path : "$path.new";
            file_put_contents($written, $call["value"]);
            rename($written, $path); // in one step: the old value, or the new one
        } elseif ($call["f"] === "get") {
            $answer["value"] = $there ? file_get_contents($path) : null;
        } elseif ($call["f"] === "erase") {
            $answer["value"] = $there && unlink($path);
        }
        flock($lock, LOCK_UN);
    }
    fwrite(STDOUT, json_encode($answer) . "\n");
}
