# The documents as they are installed: a link leads to the file that is installed. What stays in the source tree is named
# without a link, and the picture of the rates is left out.
s|](\.\./README\.md|](../schema.md|g
s|schema/README\.md|schema.md|g
s|schema/RECIPES\.md|recipes.md|g
s|](README\.md|](schema.md|g
s|](RECIPES\.md|](recipes.md|g
s#](\(\.\./\)\{0,1\}packaging/\(prometheus\|grafana\)/#](examples/#g
/^!\[.*](tests\//d
s|\[\([^]]*\)\](tests/[^)]*)|\1|g
