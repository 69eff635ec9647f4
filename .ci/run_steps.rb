# Runs the steps of an action, or of a workflow's only job, as their machine would: lines for a
# shell are run in their order in the current folder, behind a failed one only those that always
# run. Of a step that uses an action its inputs are printed. A name that nothing defines ends it.
#     ruby .ci/run_steps.rb FILE [inputs.NAME=VALUE] [github.run_id=7] ...
# Ends with the exit code of the step that failed.
require "yaml"

$stdout.sync = true

file = YAML.load_file(ARGV.shift)
given = ARGV.to_h { |word| word.split("=", 2) }
inputs = (file["inputs"] || {}).transform_keys { |name| "inputs.#{name}" }
given.each_key { |name| abort "no #{name}" if name.start_with?("inputs.") && !inputs[name] }
inputs.each { |name, input| given[name] ||= input["default"].to_s }
value_of = ->(name) { given.fetch(name) { abort "nothing defines #{name}" } }
filled = lambda do |text|
  text = text.to_s
  text = text.gsub(/\$\{\{\s*([\w.-]+)\s*\}\}/) { value_of.($1) } while text.include?("${{")
  text
end

failed = 0
outputs = File.absolute_path("github_output")
(file["runs"] || file["jobs"].values.first)["steps"].each do |step|
  condition = step["if"].to_s
  condition.scan(/[a-z]+\.[\w.]+/).each(&value_of)
  next if failed != 0 && !condition.include?("always()")
  next if condition =~ /(inputs\.\w+) != ''/ && filled.(value_of.($1)).empty?
  if step["uses"]
    step["with"]&.each { |name, it| puts "#{step["uses"]} #{name}: #{filled.(it).split * " "}" }
    next
  end
  abort "a step of an action needs a shell" if file["runs"] && step["shell"] != "bash"
  variables = (step["env"] || {}).transform_values(&filled).merge("GITHUB_OUTPUT" => outputs)
  File.write(outputs, "")
  system(variables, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled.(step["run"]))
  failed = $?.exitstatus if failed == 0
  File.foreach(outputs, chomp: true) do |line|
    name, value = line.split("=", 2)
    given["steps.#{step["id"]}.outputs.#{name}"] = value
  end
end
(file["outputs"] || {}).each { |name, output| puts "output #{name}: #{filled.(output["value"])}" }
exit failed
