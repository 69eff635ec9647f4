// A worker of kill9 (docs/bring_your_own.md): a map in a folder, a file for each key. A file is
// written beside the old one and renamed over it; written in place (argument "in_place") it is
// empty for a while, and for ever if its writer dies.
//     kill9 torture --worker='node directory_map.js' --model=map
//     kill9 torture --worker='node directory_map.js in_place' --model=map
const fs = require("fs");
const inPlace = process.argv[2] === "in_place";
let state;

function absentIsNull(action) {
  try {
    return action();
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const call = JSON.parse(line);
  const answer = { id: call.id, type: "ok" };
  const file = `${state}/${call.key}`;
  if (call.f === "init") {
    state = call.state;
  } else if (call.f === "put") {
    const written = inPlace ? file : `${file}.${process.pid}`;
    fs.writeFileSync(written, call.value);
    if (!inPlace) fs.renameSync(written, file);
  } else if (call.f === "get") {
    answer.value = absentIsNull(() => fs.readFileSync(file, "utf8"));
  } else if (call.f === "erase") {
    answer.value = absentIsNull(() => fs.unlinkSync(file)) !== null;
  }
  fs.writeSync(1, JSON.stringify(answer) + "\n");
});
