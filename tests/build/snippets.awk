# Turns the C++ blocks of a Markdown file into source files: awk -v out=FOLDER -f snippets.awk FILE
# prints their names. Every ```cpp block has a marker on a line of its own just before it:
#   <!-- snippet: cell -->                   becomes FOLDER/cell.cpp
#   <!-- snippet: training after cell -->    the same, preceded by the snippet `cell`
# A snippet with an #include is a whole file. Any other is the body of a function, before which
# <xgrad/xgrad.hpp> is included and namespace xgrad used.
function fail(text) {
  printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
  failed = 1
  exit 1
}

/^<!-- snippet: [a-z0-9_]+( after [a-z0-9_]+)? -->$/ {
  name = $3
  before = $4 == "after" ? $5 : ""
  if (name in code) fail("there is a snippet " name " already")
  if (before != "" && !(before in code)) fail("no snippet " before " before this one")
  next
}

/^```cpp/ {
  if (name == "") fail("a C++ block without a marker `<!-- snippet: NAME -->`")
  inside = 1
  line[name] = FNR + 1
  code[name] = ""
  whole[name] = 0
  if (before != "") previous[name] = before
  next
}

inside && /^```/ {
  inside = 0
  names[++count] = name
  name = ""
  next
}

inside {
  if ($0 ~ /^#include/) whole[name] = 1
  code[name] = code[name] $0 "\n"
  next
}

NF && name != "" { fail("the marker of " name " is not followed by a C++ block") }

# The code of a snippet and of those before it, in order; `kind` chooses whole files or bodies.
function gather(snippet, kind,    text) {
  text = (snippet in previous) ? gather(previous[snippet], kind) : ""
  if (whole[snippet] != kind) return text
  return text "#line " line[snippet] " \"README.md\"\n" code[snippet]
}

END {
  if (failed) exit 1
  if (inside || name != "") fail("the file ends inside a snippet")
  for (i = 1; i <= count; ++i) {
    file = out "/" names[i] ".cpp"
    print gather(names[i], 1) > file
    body = gather(names[i], 0)
    if (body != "") {
      print "#include <xgrad/xgrad.hpp>\nusing namespace xgrad;\nvoid snippet_" names[i] "() {" > file
      print body "}" > file
    }
    close(file)
    print names[i]
  }
}
