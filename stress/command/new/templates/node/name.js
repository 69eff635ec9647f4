// A map for kill9: a file for each key, which a rename puts in its place.
// With the argument "faulty" a file is written where it is: it is empty first, and who dies then
// leaves it so. (Node has no locks of the kernel's: without a death others may see it, too.)
const fs = require("fs");
const lines = require("readline").createInterface({ input: process.stdin });

const faulty = process.argv[2] === "faulty";
let state, own;
const absent = (error) => {
  if (error.code !== "ENOENT") throw error;
};
lines.on("line", (line) => {
  const call = JSON.parse(line);
  const answer = { id: call.id, type: "ok" };
  const path = `${state}/${call.key}`;
  if (call.f === "init") {
    state = call.state;
    own = `${state}/new.${call.participant}`;
  } else if (call.f === "put") {
    fs.writeFileSync(faulty ? path : own, call.value);
    if (!faulty) fs.renameSync(own, path); // in one step: the old value, or the new one
  } else if (call.f === "get") {
    answer.value = null;
    try { answer.value = fs.readFileSync(path, "utf8"); } catch (error) { absent(error); }
  } else if (call.f === "erase") {
    answer.value = true;
    try { fs.unlinkSync(path); } catch (error) { absent(error); answer.value = false; }
  }
  fs.writeSync(1, JSON.stringify(answer) + "\n");
});
