Gem::Specification.new do |gem|
  gem.name = "kill9"
  gem.version = "0.1.0"
  gem.summary = "a hash that forked processes share, any of which may be killed"
  gem.authors = ["kill9"]
  gem.files = ["extconf.rb", "shared_hash.c"]
  gem.extensions = ["extconf.rb"]
  gem.required_ruby_version = ">= 3.0"
end
