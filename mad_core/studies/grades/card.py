"""What the study asks and needs. No torch here."""

from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="grades",
    order=70,
    title="How many grades it takes",
    question="After how many grades does the learned order follow severity better than the scorers without grades?",
    about="To the right more images are graded. The curve of the learned order starts near its detector and rises as "
    "grades teach it what counts; the level lines are the other runs, which learn nothing. Where the curve crosses a "
    "line, so many grades are worth as much as that scorer.",
    needs="A run of the scorer that learns from grades; other runs stand beside it.",
    kinds=("graded",),
)
