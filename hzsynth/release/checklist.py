"""The review committee's checklist, in English and Korean.

It follows the five stages of the Personal Information Protection Commission's guide to making and
using synthetic data (「합성데이터 생성·활용 안내서」, 19 December 2024). What hzsynth can answer
is filled in with figures; the rest is for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hzsynth.release.facts import Facts

Language = Literal["en", "ko"]
Both = tuple[str, str]

_STAGES: tuple[Both, ...] = (
    ("1. Preparation", "1. 사전준비"),
    ("2. Generation of synthetic data", "2. 합성데이터 생성"),
    ("3. Verification of safety and utility", "3. 안전성 및 유용성 검증"),
    ("4. Evaluation by the review committee", "4. 심의위원회 평가"),
    ("5. Use and safe management", "5. 활용 및 안전한 관리"),
)


_LOOKED_AT: Both = (
    "A dermatologist looked at the closest pairs of the audit; no scar, tattoo, nail, jewellery or rare "
    "form lets a person be recognised.",
    "피부과 전문의가 가장 유사한 이미지 쌍을 육안으로 검토하였으며, 흉터, 문신, 손발톱, 장신구 및 드문 병형으로 개인을 알아볼 "
    "수 없음을 확인하였다.",
)


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        stage: from 0.
        text: what has to be so, English and Korean.
        answer: what hzsynth found, English and Korean; None is left to people.
    """

    stage: int
    text: Both
    answer: Both | None = None


def checklist(facts: Facts, language: Language) -> str:
    """The text of ``checklist.en.md`` or ``checklist.ko.md``.

    Args:
        facts: counts, figures and settings.
        language: of the text.

    Returns:
        Markdown; equal facts give equal bytes.
    """
    which = 0 if language == "en" else 1
    title = ("Checklist for the release of synthetic images", "합성 이미지 반출 점검표")[which]
    basis = (
        "After the five stages of the Personal Information Protection Commission's guide to making and "
        "using synthetic data (Republic of Korea, 19 December 2024). Ticked lines were filled in by "
        "hzsynth from audit, scores and runs; the committee confirms them. Empty boxes are for people.",
        "개인정보보호위원회 「합성데이터 생성·활용 안내서」(2024. 12. 19.)의 5단계에 따른다. 체크된 항목은 hzsynth가 검증 결과와 "
        "생성 기록을 바탕으로 작성한 것이며 심의위원회가 확인한다. 빈 항목은 담당자가 확인하여 작성한다.",
    )[which]
    line = (
        "Name: ____________________  Date: ____________",
        "성명: ____________________  일자: ____________",
    )[which]
    lines = [f"# {title}: {facts.config.name}", "", basis]
    for stage, heading in enumerate(_STAGES):
        lines += ["", f"## {heading[which]}", ""]
        for item in (item for item in _items(facts) if item.stage == stage):
            if item.answer is None:
                lines += [f"- [ ] {item.text[which]}", f"  - {line}"]
            else:
                lines += [f"- [x] {item.text[which]}", f"  - {item.answer[which]}"]
    return "\n".join(lines) + "\n"


def _items(facts: Facts) -> tuple[Item, ...]:
    return (
        *_preparation(facts),
        *_generation(facts),
        *_safety(facts),
        *_utility(facts),
        *_COMMITTEE,
        *_management(facts),
    )


def _preparation(facts: Facts) -> tuple[Item, ...]:
    counts = facts.metrics["audit"]["counts"]
    return (
        Item(
            0,
            (
                "Purpose, scope of use and recipients of the synthetic images are laid down.",
                "합성데이터의 생성 목적, 활용 범위 및 제공받는 자를 정하였다.",
            ),
        ),
        Item(
            0,
            (
                "The lawful basis for processing the original photographs is confirmed (consent, or "
                "pseudonymised data for scientific research).",
                "원본데이터 처리의 적법한 근거(정보주체의 동의, 과학적 연구 목적의 가명정보 처리 등)를 확인하였다.",
            ),
        ),
        Item(
            0,
            (
                "The institutional review board or data review board has approved or exempted the work.",
                "기관생명윤리위원회(IRB) 또는 데이터심의위원회(DRB)의 승인 또는 심의 면제를 확인하였다.",
            ),
        ),
        Item(
            0,
            (
                "Faces, tattoos, name labels and file metadata were removed from the photographs.",
                "원본 사진에서 얼굴, 문신, 이름표 등 식별 가능한 요소와 파일 메타데이터를 제거하였다.",
            ),
        ),
        Item(
            0,
            (
                "The number of photographs is known, and those for testing are not in the training.",
                "원본데이터의 규모를 파악하고, 학습용 사진과 검증용(미학습) 사진을 분리하였다.",
            ),
            (
                f"{counts['train']} training and {counts['held_out']} held-out photographs; no file, and no "
                "patient whose id was recorded, is in both.",
                f"학습용 사진 {counts['train']}장, 미학습 사진 {counts['held_out']}장. 두 집합에 중복되는 파일은 없으며, "
                "식별번호가 기록된 환자도 중복되지 않는다.",
            ),
        ),
    )


def _generation(facts: Facts) -> tuple[Item, ...]:
    made = facts.metrics["generators"]
    kinds = "; ".join(f"{m['kind']} ({m['training_photographs']} photographs)" for m in made)
    kinds_ko = "; ".join(f"{m['kind']}(사진 {m['training_photographs']}장)" for m in made)
    return (
        Item(
            1,
            (
                "The generator was trained and run inside the closed environment.",
                "폐쇄된 분석환경 안에서 생성모델을 학습하고 합성데이터를 생성하였다.",
            ),
        ),
        Item(
            1,
            (
                "Kind and settings of the generator are recorded.",
                "생성모델의 종류와 설정을 기록하였다.",
            ),
            (
                f"{kinds}; settings in metrics.json.",
                f"{kinds_ko}. 설정값은 metrics.json에 수록하였다.",
            )
            if made
            else None,
        ),
        Item(
            1,
            (
                "The images that are released are counted.",
                "반출 대상 이미지의 수량을 확인하였다.",
            ),
            (
                f"{facts.released} of {facts.audited} generated images; {facts.left_out} left out.",
                f"생성 이미지 {facts.audited}장 중 {facts.left_out}장을 제외한 {facts.released}장.",
            ),
        ),
        Item(
            1,
            (
                "No photographs, edited training photographs, masks, file names, patient ids, digests of "
                "photographs or weights are in the bundle.",
                "원본 사진, 편집된 학습용 사진, 마스크, 원본 파일명, 환자 식별번호, 원본 사진의 해시값 및 모델 가중치를 "
                "포함하지 않는다.",
            ),
            (
                "Each image is recorded as made by a generator and was encoded anew; `hzsynth release "
                "--verify` checks the files.",
                "모든 이미지가 생성모델의 결과물로 기록되어 있고 다시 저장되었으며, 파일 구성은 `hzsynth release --verify`로 확인할 수 있다.",
            ),
        ),
    )


def _safety(facts: Facts) -> tuple[Item, ...]:
    audit = facts.metrics["audit"]
    near = ", ".join(
        f"{n}: {f['share']:.1%} (C_T {f['c_t']:.1f})" for n, f in audit["spaces"].items()
    )
    told = ", ".join(
        f"{n}: AUC {f['membership']['auc']:.2f} ({f['membership']['low']:.2f}–"
        f"{f['membership']['high']:.2f}), TPR {f['membership']['tpr']:.2f}"
        for n, f in audit["spaces"].items()
    )
    changed = ", ".join(facts.changed_settings)
    passed = audit["passed"]
    return (
        Item(
            2,
            (
                "Safety thresholds were fixed, and the images meet them.",
                "안전성 기준을 정하고 그 충족 여부를 확인하였다.",
            ),
            (
                f"The gate passes{'' if passed else ' without the images left out'}"
                f" ({f'changed settings: {changed}' if changed else 'usual settings'}); {_reach(audit)[0]}.",
                f"{'' if passed else '제외 대상을 뺀 이미지가 '}기준을 통과함"
                f"({f'변경된 기준: {changed}' if changed else '기본 기준 적용'}). {_reach(audit)[1]}.",
            ),
        ),
        Item(
            2,
            (
                "Copies of training photographs were looked for and left out.",
                "학습용 사진을 복제하거나 지나치게 유사한 이미지가 있는지 확인하고 제외하였다.",
            ),
            (
                f"{audit['perceptual_copies']} perceptual copies found, {facts.left_out} images left out; "
                f"near images before that: {near}.",
                f"복제로 판정된 이미지 {audit['perceptual_copies']}장 발견, 총 {facts.left_out}장 제외. "
                f"제외 전 근접 비율: {near}.",
            ),
        ),
        Item(
            2,
            (
                "Membership inference from the images was tested.",
                "합성 이미지를 이용한 학습 참여 여부 추론(멤버십 추론) 위험을 평가하였다.",
            ),
            (f"{told} (before images were left out).", f"{told} (제외 전 기준)."),
        ),
        *_discriminator(audit),
        Item(2, _LOOKED_AT),
    )


def _reach(audit: dict[str, Any]) -> Both:
    """What share of copies the audit could have found."""
    share = audit["found_from"]
    if share is None:
        return (
            "not even copies alone would have been found at this number of photographs",
            "이 사진 수로는 이미지 전체가 복제여도 발견하지 못함",
        )
    return (
        f"copies would have been found from {share:.0%} of the images on",
        f"복제 이미지가 전체의 {share:.0%} 이상이면 발견 가능",
    )


def _discriminator(audit: dict[str, Any]) -> tuple[Item, ...]:
    if "discriminator" not in audit:
        return ()
    attack = audit["discriminator"]["membership"]
    figure = f"AUC {attack['auc']:.2f} ({attack['low']:.2f}–{attack['high']:.2f})"
    return (
        Item(
            2,
            (
                "Membership inference with the generator's discriminator was tested.",
                "생성모델의 판별자를 이용한 멤버십 추론 위험을 평가하였다.",
            ),
            (
                f"{figure}; the discriminator stays inside.",
                f"{figure}. 판별자는 반출하지 않는다.",
            ),
        ),
    )


def _between(score: Mapping[str, Any]) -> str:
    # At the floor's number of images, where it is known: most figures move with that number.
    at_floor = "" if score["at_floor"] is None else f"{score['at_floor']:.4g} / "
    return f" ({at_floor}{score['floor']:.4g})"


def _utility(facts: Facts) -> tuple[Item, ...]:
    found = "; ".join(
        f"{s.get('metric', '')} {s['value']:.4g}" + ("" if s["floor"] is None else _between(s))
        for s in facts.metrics["scores"]
    )
    return (
        Item(
            2,
            (
                "Likeness to photographs was measured.",
                "실제 사진과의 유사성 등 유용성 지표를 측정하였다.",
            ),
            (
                f"{found} (in brackets: at as many images as photographs / between photographs).",
                f"{found} (괄호 안은 사진과 같은 수의 이미지 기준 값 / 실제 사진 간의 값).",
            )
            if found
            else None,
        ),
        Item(
            2,
            (
                "Utility for the purpose was shown on real test photographs.",
                "실제 사진으로 구성된 평가용 데이터에서 활용 목적에 대한 유용성을 확인하였다.",
            ),
        ),
    )


_COMMITTEE = (
    Item(
        3,
        (
            "The committee has external members, and members with an interest were excluded.",
            "외부위원을 포함하여 심의위원회를 구성하고, 이해관계가 있는 위원을 제척하였다.",
        ),
    ),
    Item(
        3,
        (
            "Card, figures, audit report and this checklist were submitted.",
            "설명서(README), 지표(metrics.json), 안전성 검증 보고서 및 이 점검표를 심의 자료로 제출하였다.",
        ),
    ),
    Item(
        3,
        (
            "The committee assessed whether a person can be identified, alone or with other information.",
            "합성데이터만으로 또는 다른 정보와 결합하여 특정 개인을 알아볼 가능성을 평가하였다.",
        ),
    ),
    Item(
        3,
        (
            "Decision: ☐ suitable ☐ suitable on conditions ☐ not suitable. Conditions: ____________",
            "심의 결과: ☐ 적정 ☐ 조건부 적정 ☐ 부적정. 조건: ____________",
        ),
    ),
    Item(3, ("The minutes are kept.", "회의록과 심의 결과를 보관하였다.")),
)


def _management(facts: Facts) -> tuple[Item, ...]:
    contact = facts.config.contact
    return (
        Item(
            4,
            (
                "Recipients agree in writing to the purpose and not to try to identify anyone.",
                "제공받는 자로부터 목적 외 이용 금지 및 개인 식별 시도 금지에 관한 서약을 받았다.",
            ),
        ),
        Item(
            4,
            (
                "The bundle can be checked for completeness and change.",
                "반출 자료의 무결성을 확인할 수 있다.",
            ),
            (
                "SHA256SUMS covers all files; metrics.json names the sha256 of the audit.",
                "SHA256SUMS에 모든 파일의 해시값을 수록하였고, metrics.json에 안전성 검증 결과 파일의 해시값을 기재하였다.",
            ),
        ),
        Item(
            4,
            (
                "Someone answers questions and takes the images back.",
                "문의 및 회수 담당자를 지정하였다.",
            ),
            (f"Contact: {contact}.", f"담당자: {contact}.") if contact else None,
        ),
        Item(
            4,
            (
                "Photographs, weights, runs and the audit stay inside and are kept or destroyed as laid down.",
                "원본 사진, 모델 가중치, 생성 기록 및 안전성 검증 보고서는 폐쇄된 환경에서 관리하며, 정한 바에 따라 보관하거나 파기한다.",
            ),
        ),
        Item(
            4,
            (
                "It is laid down when the risk is assessed anew, and what is done when a person is recognised "
                "(stop of use, recall, notice).",
                "식별 위험의 재평가 시기와, 특정 개인이 식별된 경우의 조치(이용 중지, 회수, 통지 등)를 정하였다.",
            ),
        ),
    )
