"""IC asks for descriptions of a set that was built, and marks them as published captions are marked."""

from __future__ import annotations

from pathlib import Path

from harness.check import check
from harness.files import write_json, write_jsonl
from tasks.chair import questions as chair_questions
from tasks.data.root import DataRoot
from tasks.ic import answers as ic_answers
from tasks.ic import marks as ic
from tasks.ic.build import ic_from_coco, write_ic
from tasks.ic.task import Ic
from tasks.pictos import coco
from tasks.pictos.world import compose, draw, seeds_of
from tasks.reading import object_words
from tests.support.answering import answered


def test_a_chosen_set_is_asked_with_cocos_pictures_and_marked_as_published_captions_are(
    data: Path, root: DataRoot, tmp_path: Path
) -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 60)]
    write_json(tmp_path / "coco/instances_test.json", coco.instances(scenes))
    write_ic(data / "ic", ic_from_coco(tmp_path / "coco", 20, 1))
    for scene in scenes:
        draw(scene).save(data / f"pope/val2014/{scene.id}.png")
    samples = Ic(data_root=root).samples("test")
    report = check(Ic(data_root=root), samples)
    assert (report.failures, report.counts["pictures"]) == ((), 20)
    assert samples[0].images == (data / "pope/val2014" / samples[0].meta["file_name"],)
    assert samples[0].prompt == chair_questions.PROMPT
    captions = {sample.id: f"There are two {next(iter(sample.target))}s." for sample in samples}
    rows = [{"image_id": int(image), "caption": caption} for image, caption in captions.items()]
    write_jsonl(tmp_path / "captions.jsonl", rows)
    tables = object_words.load_tables(data / "chair")
    published = ic_answers.load_answers(tmp_path / "captions.jsonl", data / "ic", tables)
    text = {sample.images: captions[sample.id] for sample in samples}
    ours = answered(lambda item: text[item.images], Ic(data_root=root), 20)
    assert [row.counts for row in ours.rows] == [
        ic.score_ic(object_words.normalise(answer), sample.target, tables).counts
        for sample, answer in zip(published.samples, published.answers, strict=True)
    ]
    assert ours.info["ids"] == published.info["ids"]
