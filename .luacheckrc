std = "lua54"
max_line_length = 110
exclude_files = { "build", "docs/api", "tests/hostile" }
files["strategies"] = { read_globals = { "ta", "stats" } }
files["tests"] = { std = "+busted" }
