"""The card of a release, in English and Korean: what it is, how it was made, what it cannot do."""

from typing import Any

from hzsynth.release.facts import Facts


def card(facts: Facts) -> str:
    """The text of ``README.md``.

    Args:
        facts: counts, figures and settings.

    Returns:
        Markdown; equal facts give equal bytes.
    """
    return f"# {facts.config.name}\n\n{_english(facts)}\n---\n\n{_korean(facts)}"


def _english(facts: Facts) -> str:
    audit, config = facts.metrics["audit"], facts.config
    counts = audit["counts"]
    changed = ", ".join(facts.changed_settings)
    return f"""## What it is

{facts.released} synthetic images of skin ({_classes(facts)}; {_sizes(facts)} px, PNG). They were drawn by a
generator; no photograph is among them.

## How it was made

{_generators(facts, "en")}

Of {facts.audited} generated images {facts.left_out} were left out because the audit listed them as too near to a training
photograph. The rest were encoded anew without metadata and put into a new order. The bundle holds
no weights, no masks and no lineage: digests of photographs and ids of patients stay where the photographs are.

## Audit

{_verdict(audit, "en")} Compared were {counts["fake"]} generated images, {counts["train"]} training photographs and
{counts["held_out"]} photographs that the generator did not see.
{f"The gate's settings were not the usual ones (usual value in brackets): {changed}." if changed else "The gate's settings were the usual ones."}

{_audit_table(audit, "en")}

near: share of images nearer to a training photograph than 5 % of new photographs are (about .05 is
expected); C_T: below -3 is too near; leaning: whether training patients' photographs explain the images better than
other patients' do (.5 is chance); AUC: how well the images tell who was in training (.5 is chance);
control: the same between two parts of the photographs that the generator did not see. {_power(audit, "en")}

{_score_part(facts, "en")}
## Intended use

Research and teaching on skin images, and additional training data for classifiers that are tested on real photographs.

## Limits

- Passing the audit is no proof of privacy: these attacks found nothing at this number of photographs.
- Not for diagnosis, and not for testing a classifier: results on synthetic images say nothing about patients.
- A network can tell synthetic images from photographs. Where only one class has them, it may learn that instead of the disease.
- Rare forms, skin tones and body sites that the photographs lacked are lacking here too.
- `origin` is `external`: outside the enclave nobody can prove what the generator saw. hzsynth therefore refuses to train on
  the bundle where lineage to a test set would have to be proven.
- Do not try to identify a person from these images.

## Licence and contact

Licence: {config.licence or "not yet granted; to be decided by the review committee"}. Contact: {config.contact or "not named"}.

Check the bundle with `sha256sum -c SHA256SUMS` or `hzsynth release --verify DIR`.
"""


def _korean(facts: Facts) -> str:
    audit, config = facts.metrics["audit"], facts.config
    counts = audit["counts"]
    changed = ", ".join(facts.changed_settings)
    return f"""## 개요

피부 합성 이미지 {facts.released}장이다({_classes(facts)}, {_sizes(facts)} px, PNG). 모두 생성모델이 만든 것이며, 실제 환자를 촬영한
사진은 포함되어 있지 않다.

## 생성 방법

{_generators(facts, "ko")}

생성 이미지 {facts.audited}장 중 학습용 사진과 지나치게 유사하다고 판정된 {facts.left_out}장을 제외하였다. 나머지 이미지는 메타데이터 없이 다시
저장하고 순서를 새로 배열하였다. 모델 가중치, 병변 마스크 및 계보 정보(원본 사진의 해시값, 환자 식별번호)는 포함하지
않으며, 해당 정보는 원본 사진이 보관된 환경 안에서만 관리한다.

## 안전성 검증

{_verdict(audit, "ko")} 비교 대상은 생성 이미지 {counts["fake"]}장, 학습용 사진 {counts["train"]}장, 생성모델이 학습하지 않은 사진
{counts["held_out"]}장이다. {f"판정 기준을 기본값과 다르게 설정하였다(괄호 안은 기본값): {changed}." if changed else "판정 기준은 기본값을 사용하였다."}

{_audit_table(audit, "ko")}

근접 비율: 미학습 사진의 5 %보다 학습용 사진에 더 가까운 이미지의 비율(복제가 없으면 약 .05). C_T: -3보다 작으면 지나치게
가까움을 뜻한다. 의존도: 이미지가 미학습 환자보다 학습 환자의 사진으로 더 잘 설명되는 정도(.5는 무작위 수준). AUC: 합성 이미지로 학습 참여 여부를 추론할 수 있는 정도(.5는 무작위 수준). 대조: 미학습 사진을 둘로 나누어
같은 방법으로 구한 값. {_power(audit, "ko")}

{_score_part(facts, "ko")}
## 활용 목적

피부 영상 연구 및 교육, 실제 사진으로 성능을 평가하는 분류모델의 추가 학습데이터.

## 한계 및 유의사항

- 안전성 검증 통과가 개인정보 보호를 보증하는 것은 아니다. 해당 사진 수와 검증 방법의 범위에서 위험이 발견되지 않았음을 뜻한다.
- 진단 또는 분류모델의 성능 평가에 사용할 수 없다. 합성 이미지에 대한 결과는 실제 환자에 대한 결과를 의미하지 않는다.
- 신경망은 합성 이미지와 실제 사진을 구별할 수 있다. 한 질환에만 합성 이미지를 추가하면 질환이 아닌 합성 여부를 학습할 수 있다.
- 원본 사진에 없는 드문 병형, 피부색 및 신체 부위는 합성 이미지에도 나타나지 않는다.
- `origin` 값은 `external`이다. 반출 후에는 생성모델이 학습한 사진을 증명할 수 없으므로, 평가용 사진과의 계보 증명이 필요한 경우
  hzsynth는 이 자료를 이용한 학습을 거부한다.
- 이 이미지를 이용하여 특정 개인을 알아보려는 행위를 하여서는 아니 된다.

## 이용 조건 및 문의처

이용 조건: {config.licence or "미정(심의위원회에서 결정)"}. 문의처: {config.contact or "미기재"}.

무결성은 `sha256sum -c SHA256SUMS` 또는 `hzsynth release --verify DIR` 명령으로 확인한다.
"""


def _classes(facts: Facts) -> str:
    return ", ".join(f"{label}: {count}" for label, count in facts.classes.items())


def _sizes(facts: Facts) -> str:
    sides = [f"{width} x {height}" for width, height in facts.sizes]
    return sides[0] if len(sides) == 1 else f"{sides[0]} – {sides[-1]}"


def _generators(facts: Facts, language: str) -> str:
    if not facts.metrics["generators"]:
        return {
            "en": "The generator's settings were not given to this release.",
            "ko": "생성모델의 설정은 제공되지 않았다.",
        }[language]
    lines = []
    for made in facts.metrics["generators"]:
        settings = ", ".join(f"{key} {value}" for key, value in made["settings"].items())
        photographs, patients = made["training_photographs"], made["training_patients"]
        if language == "en":
            known = f" of {patients} known patients" if patients else ""
            lines.append(
                f"- {made['kind']}, trained on {photographs} photographs{known}: {settings}"
            )
        else:
            known = f"(확인된 환자 {patients}명)" if patients else ""
            lines.append(
                f"- {made['kind']}: 사진 {photographs}장{known}으로 학습, 설정: {settings}"
            )
    return "\n".join(lines)


def _verdict(audit: dict[str, Any], language: str) -> str:
    """The light, what it means, and what the gate said."""
    green = audit["light"] == "green"
    least = f"{audit['gate']['least_found']:.0%}"
    lights = {
        "en": f"Verdict: **{'green' if green else 'amber'}**. Green: the gate passes with all images and could have found "
        f"{least} of copies among them; amber: it passes and could not have seen everything, or only without the images "
        "left out; red, a gate that fails, is never released.",
        "ko": f"판정: **{'녹색' if green else '황색'}**. 녹색은 전체 이미지가 기준을 통과하고 {least} 이상의 복제를 발견할 수 있었음을, 황색은 "
        "기준을 통과하였으나 확인할 수 없는 사항이 있거나 제외 대상을 뺀 나머지만 통과하였음을 뜻한다. 적색(기준 미통과)은 반출하지 않는다.",
    }
    if audit["passed"]:
        said = {
            "en": "The gate passed with all audited images.",
            "ko": "검증 대상 이미지 전체가 기준을 통과하였다.",
        }
    else:
        said = {
            "en": "The gate failed with all audited images and passed without those left out, which training "
            "photographs alone had chosen.",
            "ko": "전체 이미지로는 기준을 통과하지 못하였으나, 제외 대상(학습용 사진만으로 선정)을 뺀 나머지는 미학습 사진으로 다시 "
            "검증하여 기준을 통과하였다.",
        }
    return f"{lights[language]} {said[language]}"


def _power(audit: dict[str, Any], language: str) -> str:
    """What share of copies the audit could have found, and whether it left doubts."""
    share, doubts = audit["found_from"], audit["doubts"]
    texts = {
        "en": (
            "At this number of photographs not even copies alone would have been found."
            if share is None
            else f"Copies would have been found from {share:.0%} of the images on."
        )
        + (" The audit report names what could not be seen." if doubts else ""),
        "ko": (
            "이 사진 수로는 이미지 전체가 복제여도 발견하지 못한다."
            if share is None
            else f"복제 이미지가 전체의 {share:.0%} 이상이면 발견할 수 있었다."
        )
        + (" 확인할 수 없었던 사항은 검증 보고서에 기재되어 있다." if doubts else ""),
    }
    return texts[language]


def _audit_table(audit: dict[str, Any], language: str) -> str:
    heads = {
        "en": "| compared by | near | C_T | leaning | AUC (95 %) | TPR at 1 % | control |",
        "ko": "| 비교 기준 | 근접 비율 | C_T | 의존도 | AUC (95 %) | TPR (FPR 1 %) | 대조 |",
    }
    rows = [heads[language], "|---|---|---|---|---|---|---|"]
    for name, found in audit["spaces"].items():
        attack = _attack_cells(found["membership"])
        near = f"{found['share']:.3f} | {found['c_t']:.2f} | {found['leaning']['share']:.2f}"
        rows.append(f"| {name} | {near} | {attack} |")
    if "discriminator" in audit:
        name = {"en": "discriminator (not released)", "ko": "판별자(반출하지 않음)"}[language]
        rows.append(f"| {name} | | | | {_attack_cells(audit['discriminator']['membership'])} |")
    return "\n".join(rows)


def _attack_cells(attack: dict[str, float]) -> str:
    interval = f"{attack['auc']:.2f} ({attack['low']:.2f}–{attack['high']:.2f})"
    return f"{interval} | {attack['tpr']:.2f} | {attack['control']:.2f}"


def _score_part(facts: Facts, language: str) -> str:
    if not facts.metrics["scores"]:
        return ""
    heads = {
        "en": "## Figures of likeness\n\n| figure, of all audited images | value | at as many images as photographs | "
        "between photographs | against training photographs | better |",
        "ko": "## 유용성 지표\n\n| 지표(검증 대상 이미지 전체 기준) | 값 | 사진과 같은 수의 이미지 기준 값 | "
        "실제 사진 간 값 | 학습 사진 대비 값 | 좋은 방향 |",
    }
    better = {"en": {}, "ko": {"lower": "낮을수록", "higher": "높을수록"}}[language]
    rows = [heads[language], "|---|---|---|---|---|---|"]
    for score in facts.metrics["scores"]:
        direction = score.get("better", "")
        shown = (score[name] for name in ("value", "at_floor", "floor", "against_training"))
        cells = ("" if value is None else f"{value:.4g}" for value in shown)
        names = score.get("metric", ""), better.get(direction, direction)
        rows.append(f"| {names[0]} | {' | '.join(cells)} | {names[1]} |")
    return "\n".join(rows) + "\n\n"
