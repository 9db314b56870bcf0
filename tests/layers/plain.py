"""plain.py ROOT - hold comments, documents and manual pages to plain English, and names to one meaning a verb.

PHRASES are words and turns that stop a reader, each with the words that say the same plainly. They are looked for in
comments, documents and manual pages, also across the end of a line. Code is left out, in documents too.
VERBS are words of function names that had several meanings, each with the meaning that lib/README.md gives it. The
names of functions in the library's headers use them in no other.
"""
import os
import re
import sys

FOLDERS = ("lib", "include", "preload", "tests", "bench", ".packaging", ".ci")
C = (".c", ".h", ".def", ".cc", ".hpp", ".rs")
SCRIPTS = (".py", ".sh", ".cmake", ".inc", "CMakeLists.txt", "LAYERS", "run")
PROSE = (".md", ".1", ".3", ".7")
PHRASES = (
    (r"(?:is|are|was|were|be) to be (?:had|found|seen)", "exists, is available"),
    (r"c(?:an|ould) be had", "is available"),
    (r"com(?:es?|ing) by", "runs, visits"),
    (r"com(?:es?|ing) to lie", "lies"),
    (r"for ever|forever", "permanently"),
    (r"ha(?:s|ve|d) the say", "decides"),
    (r"had better", "should"),
    (r"go(?:es)? home|went home", "returns to its slab"),
    (r"asks? (?:it |them )?in|asked in", "claims"),
    (r"the which|which see", "name the thing"),
    (r"lest|whereupon|thereof|therein|hitherto|withal|save for", "so that not, then, of it, in it, except"),
    (r"is not ours to \w+", "say what the code must not do"),
    (r"se(?:e|es|en|ing) to it|saw to it", "makes sure"),
    (r"let(?:s|ting)? go of", "releases"),
    (r"now and then", "at intervals, sometimes"),
    (r"but for", "except for"),
    (r"all the same(?=[.,;:)]| \*/)(?<!or all the same)", "nevertheless"),
    (r"in vain", "without success"),
    (r"of its own accord", "name the cause"),
    (r"so as to|so as not to", "to"),
    (r"for want of one", "since there is none"),
    (r"who(?:so)?ever", "a thread that, the caller"),
    (r"(?:for|from|by|to) who", "for a caller that, from a client that"),
    (r"(?:says?|tells?) of", "says about"),
    (r"nobody misses", "say who does not need it"),
    (r"(?:the|its|their|with|for|all) books", "metadata, records"),
    (r"anew", "again"),
    (r"believ(?:e|es|ed|ing)", "trust, assume"),
    (r"(?-i:Caller) (?:holds|owns|has|verifies)", "The caller holds"),
    (r"so (?:many|much) (?:bytes|slots|pages|units|blocks|keys|classes|slabs|objects|indices)", "that many"),
    (r"as (?:late|soon|far) as can be|as soon as that can be", "as late as possible"),
    (r"at hand|astray|makes? no sense|com(?:es?|ing) to an end", "near; to a wrong place; is invalid; ends"),
    (r"or stop that|, or no longer", "begin or end to"),
    (r"a bit an? (?:unit|slot|page|OS page)", "one bit for each"),
    (r"(?:takes?|taken|taking) (?:a|the|its(?: own)?) mark off|(?:takes?|taking) M off", "clears the mark"),
    (r"(?:relaxed:|;) who (?:sees|misses|reads|frees|has|comes|sends)", "a thread that, a client that"),
)
FOUND = [(re.compile(rf"\b(?:{phrase})\b" if phrase[-1] != ")" else rf"\b(?:{phrase})", re.I), better)
         for phrase, better in PHRASES]
LEAST = 20000
VERBS = (
    (r"\w*settle\w*", "no meaning: say what becomes of the thing"),
    (r"(?!batch_|compact_)\w*mark(?:ed|ing)?(?:_\w+)?", "mark: the bit M of a word"),
    (r"(?!names_|profile_|samples_|sentry_)\w+(?<!_at)_start", "start: turn a service on"),
    (r"\w+_(?:bound|bind)", "no meaning: reserve an index with its slot"),
    (r"(?:medium|need|guard)_look|\w+_look_\w+", "look: read without order"),
    (r"(?:meta|compact)_rest", "rest: of a class; pages are purged"),
    (r"(?:space|supply)_release", "release: of a record; segments are unmapped"),
)


def prose_of(path, text):
    """The words that are for readers: what is not code, with its line breaks joined."""
    if path.endswith(PROSE):
        kept = re.sub(r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]*`", "", text, flags=re.M | re.S)
    elif path.endswith(C):
        kept = "\n\n".join(re.findall(r"/\*.*?\*/|//[^\n]*(?:\n[ \t]*//[^\n]*)*", text, re.S))
    else:
        kept = "\n\n".join(re.findall(r'""".*?"""|#[^\n]*(?:\n[ \t]*#[^\n]*)*', text, re.S))
    return re.sub(r"\n[ \t]*(?:\*(?!/)|//[/!]?|#)?[ \t]*", " ", kept)


def sources(root):
    yield from (name for name in sorted(os.listdir(root)) if name.endswith(PROSE + SCRIPTS))
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith(C + SCRIPTS + PROSE) and name != "plain.py":
                    yield os.path.relpath(os.path.join(folder, name), root)


def complaints(path, text):
    prose = prose_of(path, text)
    for expression, better in FOUND:
        for hit in expression.finditer(prose):
            around = prose[max(0, hit.start() - 30):hit.end() + 20]
            yield f"{path}: \"{around.strip()}\"; better: {better}"


def misnamed(path, text):
    for name in sorted(set(re.findall(r"\btmi_(\w+)\(", text))):
        for verb, meaning in VERBS:
            if re.fullmatch(verb, name):
                yield f"{path}: tmi_{name}; {meaning}"


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in () if good else why:
        print("#   " + line)


def control(name, path, text, n=1):
    found = list(complaints(path, text))
    report(len(found) == n, "control: " + name, found)


def main(root):
    words, wrong, files, names = 0, [], 0, []
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
        files += 1
        words += len(prose_of(path, text).split())
        wrong += complaints(path, text)
        names += misnamed(path, text) if path.startswith("lib" + os.sep) and path.endswith(".h") else ()
    report(words >= LEAST and not wrong, f"{words // 1000},000 words in {files} files are plain English", wrong)
    control("a phrase in a comment is noticed", "lib/x.c", "/* An address is to be had. */ int i;\n")
    control("a phrase that a line break cuts is noticed", "lib/x.h", "/* An address is to\n * be had. */\n")
    control("a phrase that two comments make is not one", "lib/x.h", "// an address is to\nint i;\n// be had\n", 0)
    control("a phrase in a docstring is noticed", "tests/x.py", '"""The hint has the say."""\n')
    control("a phrase in a script's comment is noticed", "tests/x/run", "f() { :; } # but for\n# the first\n")
    control("a phrase in a document is noticed", "lib/x.md", "Slots go home.\n")
    control("a phrase in a manual page is noticed", "preload/man/x.3", "It waits in\nvain.\n")
    control("a sentence without its article is noticed", "lib/x.h", "/* Put it back. Caller holds the lock. */\n")
    control("the article makes it right", "lib/x.h", "/* Put it back. The caller holds the lock. */\n", 0)
    control("an amount in the old way is noticed", "lib/x.h", "/* A pool of so many bytes. */\n")
    control("so many in the sense of very many is left", "lib/x.h", "/* In so many words. */\n", 0)
    control("a reason that begins with who is noticed", "lib/x.c", "f(); // relaxed: who sees it late waits\n")
    control("an old name of clearing a mark is noticed", "lib/x.c", "/* A pin takes the mark off. */\n")
    control("code is not read", "lib/x.c", 'static int books = 1; puts("but for");\n', 0)
    control("code in a document is not read", "lib/x.md", "`but for`\n\n    now and then\n\n```\nin vain\n```\n", 0)
    report(not names, "verbs in names of functions have one meaning", names)
    text = "void tmi_space_unmark(void); void tmi_batch_mark(void); void tmi_meta_settle(void); void tmi_a_start(void);"
    text += "tm_handle_t tmi_object_bind(void); tm_handle_t tmi_object_reserve(void);"
    report(len(list(misnamed("lib/x.h", text))) == 4, "control: verbs in another meaning are noticed")


main(sys.argv[1])
