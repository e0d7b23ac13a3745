# Makes Datasette's metadata of schema/README.md: what each table, view and column means.

function text(words) {
    while (match(words, /\]\([^)]*\)/)) # [words](link)
        words = substr(words, 1, RSTART - 1) substr(words, RSTART + RLENGTH)
    gsub(/[`[]/, "", words)
    gsub(/\\/, "\\\\", words)
    gsub(/"/, "\\\"", words)
    gsub(/^[ \t]+|[ \t]+$/, "", words)
    return words
}

function end_table() {
    if (name != "") {
        printf "%s    \"%s\": {\n      \"description\": \"%s\",\n      \"columns\": {%s}\n    }", \
               (tables++ ? ",\n" : ""), name, text(about), columns
    }
    name = about = columns = ""
}

BEGIN { printf "{\n  \"title\": \"foxtrackrd\",\n  \"databases\": {\"foxtrackr\": {\"tables\": {\n" }

/^## / { end_table(); inside = ($2 != "Queries") }

inside && /^### `/ { end_table(); name = text($2); paragraphs = 0; next }

name == "" { next }

# "| `time_ms` | ms | when it was measured | device clock |"
/^\| `/ && split($0, cell, / *\| */) >= 5 {
    meaning = text(cell[4]) (cell[3] != "" ? " (" text(cell[3]) ")" : "") "; from: " text(cell[5])
    columns = columns (columns != "" ? "," : "") "\n        \"" text(cell[2]) "\": \"" meaning "\""
    next
}

# The first paragraph describes the table.
/^$/ { if (about != "") paragraphs = 1; next }
!paragraphs && !/^\|/ { about = about (about != "" ? " " : "") $0 }

END { end_table(); printf "\n  }}}\n}\n" }
