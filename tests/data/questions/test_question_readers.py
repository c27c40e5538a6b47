"""Questions in files: VQA, CLEVR and the user's own, on small files of the same form."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import picture

from paperzoo import PaperzooError
from paperzoo.data import Dataset
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.data.questions import readers
from paperzoo.data.questions.columns import unseen
from paperzoo.data.questions.readers import clevr, kind_of, own, vqa

Change = Callable[[dict[str, Any]], Any]


def people(*given: str) -> list[dict[str, Any]]:
    return [{"answer": answer, "answer_confidence": "yes", "answer_id": i + 1} for i, answer in enumerate(given)]


def vqa_folder(root: Path, prefix: str = "", pictures: int = 40, **changes: Change) -> Path:
    """Files of VQA's form; in ``train2014`` two questions a picture, whose red is its number."""
    for part, count in (("train2014", pictures), ("val2014", 3)):
        asked, said = [], []
        for image in range(count):
            picture(root / part / f"COCO_{part}_{image:012d}.jpg", (5 * image, 0, 0), (30, 20), quality=95)
            for which, (text, answer, kind) in enumerate((("Is it red?", "yes", "yes/no"), ("How many?", str(image % 3), "number"))):
                number = 10 * image + which
                asked.append({"image_id": image, "question": text, "question_id": number})
                ten = people(*[answer] * 7, "4", "4", "none")
                said.append({"question_type": "is it", "multiple_choice_answer": answer, "answers": ten, "image_id": image,
                             "answer_type": kind, "question_id": number})  # fmt: skip
        files = {
            f"{prefix}OpenEnded_mscoco_{part}_questions.json": {"info": {}, "task_type": "Open-Ended", "questions": asked},
            f"{prefix}mscoco_{part}_annotations.json": {"info": {}, "annotations": said[::-1]},
        }
        for name, content in files.items():
            change = changes.get("questions" if "OpenEnded" in name else "annotations")
            if change and part == "train2014":
                change(content)
            (root / name).write_text(json.dumps(content), encoding="utf-8")
    return root


def pictures_of(built: Dataset, split: str) -> set[int]:
    return {round(float(x) * 51) for x in built[split].batch(range(len(built[split]))).image[:, 0, 8, 8]}


@pytest.mark.parametrize(("version", "prefix"), [(1, ""), (2, "v2_")])
def test_vqa_is_read_and_parted_by_picture(version: int, prefix: str, tmp_path: Path) -> None:
    built = vqa(vqa_folder(tmp_path, prefix), version, image_size=16)
    trained, held = pictures_of(built, "train"), pictures_of(built, "validation")
    assert trained | held == set(range(40)) and not trained & held and 1 <= len(held) <= 9
    assert len(built["train"]) == 2 * len(trained) and pictures_of(built, "test") == {0, 1, 2}
    assert built.schema.name == ("vqa", "vqa2")[version - 1] and not built.pictures
    item = built["test"].batch([3])
    assert item.texts == [("How many?",)] and item.kind == ["number"] and item.image.shape == (1, 3, 16, 16)
    assert item.answers == [("1",) * 7 + ("4", "4", "none")] and built.schema.names[int(item.label)] == "1"
    assert round(float(item.image[0, 0, 8, 8]) * 51) == 1, "the picture of another question"


def test_answers_that_are_not_common_are_left_out_of_training_and_kept_in_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST", 2)
    with pytest.warns(UserWarning, match=r"of \d+ questions to train on have an answer that is none of the 2 commonest"):
        built = vqa(vqa_folder(tmp_path), image_size=16)
    assert len(built.schema.names) == 2 and built.schema.names[0] == "yes" and int(unseen(built["train"]).label.min()) == 0
    assert len(built["test"]) == 6 and unseen(built["test"]).label.tolist().count(-1) == 2


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("annotations", lambda c: c["annotations"][5]["answers"].pop(), "question .* has 9 answers, not those of 10 people"),
        ("annotations", lambda c: c["annotations"][5].update(answers=people("a")), "has 1 answer, not those of 10 people"),
        ("annotations", lambda c: c["annotations"][7].pop("answer_type"), "entry 7 has no 'answer_type'; it has answers, "),
        ("annotations", lambda c: c.update(annotation=c.pop("annotations")), "another JSON: it has no 'annotations' at its top"),
        ("annotations", lambda c: c["annotations"].pop(), "has 80 questions, and .* the answers to 79"),
        ("questions", lambda c: c["questions"][2].update(question=" ?"), "questions.json: question 10 is empty: ' .' has no word"),
        ("questions", lambda c: c["questions"][2].update(image_id="a"), "'image_id' of entry 2 is 'a', which is no int"),
        ("questions", lambda c: c["questions"][2].pop("question"), "entry 2 has no 'question'; it has image_id, question_id"),
        ("questions", lambda c: c["questions"][2].update(question_id=999), "has no answers to question 999"),
        ("questions", lambda c: c.update(questions={}), "'questions' is a dict, not a list"),
    ],
)
def test_another_layout_of_vqa_is_named(file: str, change: Change, said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        vqa(vqa_folder(tmp_path, **{file: change}), image_size=16)


def test_files_of_vqa_that_are_not_there_or_no_json(tmp_path: Path) -> None:
    vqa_folder(tmp_path)
    with pytest.raises(PaperzooError, match=r"has no v2_OpenEnded_mscoco_train2014_questions\.json; it has: "):
        vqa(tmp_path, 2)
    (tmp_path / "mscoco_val2014_annotations.json").write_text("[1, 2", encoding="utf-8")
    with pytest.raises(PaperzooError, match=r"mscoco_val2014_annotations\.json is no JSON"):
        vqa(tmp_path)
    (tmp_path / "mscoco_val2014_annotations.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(PaperzooError, match="no 'annotations' at its top; it is a list"):
        vqa(tmp_path)


def clevr_folder(root: Path, change: Change = lambda entry: None) -> Path:
    for part, count in (("train", 30), ("val", 2)):
        rows = []
        for image in range(count):
            name = f"CLEVR_{part}_{image:06d}.png"
            picture(root / "images" / part / name, (5 * image, 0, 0), (30, 20))
            end = {"function": "count", "inputs": [0], "value_inputs": []}
            rows.append({"question": "How many cubes are there?", "answer": str(image % 4), "image_filename": name, "image_index": image,
                         "question_index": image, "split": part, "program": [{"function": "scene", "inputs": []}, end]})  # fmt: skip
        change(rows[1])
        (root / "questions").mkdir(exist_ok=True)
        (root / "questions" / f"CLEVR_{part}_questions.json").write_text(json.dumps({"info": {}, "questions": rows}), encoding="utf-8")
    return root


def test_clevr_is_read(tmp_path: Path) -> None:
    built = clevr(clevr_folder(tmp_path), image_size=16)
    assert pictures_of(built, "train") | pictures_of(built, "validation") == set(range(30)) and len(built["test"]) == 2
    item = built["test"].batch([1])
    assert (item.kind, item.answers, item.texts) == (["count"], [("1",)], [("How many cubes are there?",)])
    assert set(built.schema.names) == set("0123")
    outer = tmp_path / "outer"
    outer.mkdir()
    clevr_folder(outer / "CLEVR_v1.0" if (outer / "CLEVR_v1.0").mkdir() is None else outer)
    assert len(clevr(outer, image_size=16)["test"]) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("program"), "CLEVR_train_questions.json: entry 1 has no 'program'"),
        (lambda row: row.update(program=[]), "question 1 has an empty program"),
        (lambda row: row.pop("answer"), "entry 1 has no 'answer'; it has "),
        (lambda row: row.update(question=""), "question 1 is empty"),
    ],
)
def test_another_layout_of_clevr_is_named(change: Change, said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        clevr(clevr_folder(tmp_path, change), image_size=16)


def test_published_sets_are_the_users_to_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path))
    files = {"vqa": "mscoco_train2014_annotations", "vqa2": "v2_mscoco_train2014_annotations", "clevr": "CLEVR_v1.0"}
    for name, file in files.items():
        assert DATASETS[name].sources[0].transport == "folder"
        with pytest.raises(PaperzooError, match=f"is not there. Put .*{file}"):
            dataset(name)
    clevr_folder((tmp_path / "sources" / "clevr") if not (tmp_path / "sources" / "clevr").mkdir(parents=True) else tmp_path)
    assert dataset("clevr", image_size=24).schema.arguments["image_size"] == 24


# The user's own ------------------------------------------------------------------------------------------------------


def own_folder(root: Path, rows: str = "", name: str = "own.csv", head: str = "file,question,answer\n") -> Path:
    for i in range(30):
        picture(root / "deep" / f"{i:02d}.png", (5 * i, 0, 0), (20, 20))
    usual = "".join(f"{i:02d}.png,how bright is it?,{i}\n{i:02d}.png,is it red?,{'yes' if i else 'no'}\n" for i in range(30))
    (root / name).write_text(head + (rows or usual), encoding="utf-8")
    return root


def quiet(root: Path, **arguments: Any) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return own(root, 16, **arguments)


def test_ones_own_table_is_read_and_cut_by_picture(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = own(own_folder(tmp_path), 16)
    splits = {split: pictures_of(built, split) for split in ("train", "validation", "test")}
    assert set.union(*splits.values()) == set(range(30)) and sum(map(len, splits.values())) == 30
    for split, items in built.splits.items():
        batch = items.batch(range(len(items)))
        for image, (text,), (answer,), kind in zip(batch.image, batch.texts, batch.answers, batch.kind, strict=True):
            number = round(float(image[0, 8, 8]) * 51)
            assert (answer, kind) == ((str(number), "number") if "bright" in text else ("yes" if number else "no", "yes/no")), split
    assert quiet(tmp_path, channels=1).schema.arguments["channels"] == 1
    assert dataset(f"questions:{tmp_path}").schema.arguments["image_size"] == 64


def test_json_lines_may_have_ten_answers_kinds_and_splits(tmp_path: Path) -> None:
    rows = []
    for i in range(30):
        ten = ["red"] * 6 + ["pink"] * 4 if i % 2 else "red"
        split = {"split": ("train", "val", "test")[i % 3]}
        rows.append(json.dumps({"file": f"deep/{i:02d}.png", "question": "which?", "answer": ten, "kind": "hue", **split}))
    built = quiet(own_folder(tmp_path, "\n\n".join(rows) + "\n", "own.jsonl", head=""))
    assert pictures_of(built, "validation") == set(range(1, 30, 3)) and pictures_of(built, "test") == set(range(2, 30, 3))
    batch = unseen(built["validation"])
    assert set(batch.answers) == {("red",), ("red",) * 6 + ("pink",) * 4} and set(batch.kind) == {"hue"} and built.schema.names == ("red",)


ROWS = "00.png,is it?,yes\n01.png,is it?,no\n"


@pytest.mark.parametrize(
    ("rows", "head", "name", "said"),
    [
        (ROWS, "file,ask,answer\n", "own.csv", "own.csv has no column 'question'; its first line has file, ask, answer"),
        ("00.png,is it?\n", "file,question,answer\n", "own.csv", "own.csv, line 2, has 2 columns, not 3"),
        ("00.png,?!,yes\n", "file,question,answer\n", "own.csv", r"own.csv, line 2 is empty: '\?!' has no word"),
        ("00.png,is it?,\n", "file,question,answer\n", "own.csv", "own.csv, line 2: the answer is empty"),
        ("00.png,is it?,yes,tset\n", "file,question,answer,split\n", "own.csv", "unknown split 'tset' in .*line 2: did you mean test"),
        ("00.png,a?,b,test\n00.png,c?,d,train\n", "file,question,answer,split\n", "own.csv", "has 00.png in two splits, test and train"),
        ("xx.png,is it?,yes\n", "file,question,answer\n", "own.csv", "no row of the table .* names a picture.*: the first names xx.png"),
        ("\n", "file,question,answer\n", "own.csv", "own.csv has no rows"),
        ('{"file": "00.png", "question": "a?"}\n', "", "own.jsonl", "own.jsonl: entry 1 has no 'answer'; it has file, question"),
        ('{"file": "00.png"\n', "", "own.jsonl", "own.jsonl, line 1, is no JSON"),
        ('{"file": "00.png", "question": "a?", "answer": ["b", "c"]}\n', "", "own.jsonl", "line 1 has 2 answers, not those of 10 people"),
        ('{"file": "00.png", "question": "a?", "answer": [3]}\n', "", "own.jsonl", "line 1 has the answer 3, which is no text"),
        (ROWS, "file,question,answer\n", "own.txt", "needs one .csv or .jsonl with file, question and answer in every row; it has neither"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(rows: str, head: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        quiet(own_folder(tmp_path, rows, name, head))


def test_what_is_left_out_is_said_and_refused_if_that_is_wanted(tmp_path: Path) -> None:
    own_folder(tmp_path)
    with (tmp_path / "own.csv").open("a", encoding="utf-8") as file:
        file.write("gone.png,is it?,yes\n")
    picture(tmp_path / "more.png", (9, 9, 9))
    with pytest.warns(UserWarning, match="1 names of pictures in the table .*: gone.png; 1 pictures without a row .*more.png"):
        own(tmp_path, 16)
    with pytest.raises(PaperzooError, match=r"not there: gone\.png"):
        own(tmp_path, 16, strict=True)
    picture(tmp_path / "00.png", (1, 1, 1))
    (tmp_path / "deep" / "more").mkdir()
    picture(tmp_path / "deep" / "more" / "01.png", (3, 3, 3))
    with pytest.raises(PaperzooError, match=r"has 2 pictures called 01.png \(deep/01.png, deep/more/01.png\): write their paths"):
        quiet(tmp_path)


def test_a_picture_that_cannot_be_read_takes_its_questions_with_it(tmp_path: Path) -> None:
    own_folder(tmp_path)
    (tmp_path / "deep" / "07.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.warns(UserWarning, match="1 of 30 images .* cannot be read: deep/07.png"):
        built = own(tmp_path, 16)
    assert sum(map(len, built.splits.values())) == 58 and 7 not in set.union(*(pictures_of(built, s) for s in built.splits))


def test_kinds_by_answers() -> None:
    kinds = {"yes/no": ("Yes", "no"), "number": ("12", "3.5"), "other": ("red", "no way", "1.2.3")}
    assert all(kind_of(answer) == kind for kind, answers in kinds.items() for answer in answers)
