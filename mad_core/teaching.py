"""How to read each metric and plot, in plain words; the one place these texts stand, for pages and report alike."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

METRICS: Mapping[str, str] = {
    "auroc": "How often an abnormal image scores above a normal one, ties counting half. 0.5 is chance, 1 is perfect "
    "detection.",
    "c_index": "How often the more severe of two images of different levels scores higher, ties counting half. Compare "
    "it with the value that perfect detection with random severity would reach.",
    "kendall_tau_b": "Agreement of the order of scores with the order of levels, -1 to 1. Coarse scores are favoured: "
    "scores without ties cannot reach 1.",
    "abnormal_only": "The same on abnormal images alone: what is left when telling normal from abnormal is taken out.",
    "ties": "Share of the pairs of different levels whose scores are equal. They count half in the C-index and flatter "
    "tau-b.",
    "coverage": "Images that got a score. Failed images have none and never count as normal.",
}
"""One plain sentence or two for each metric, for people who meet it for the first time."""

READ: Mapping[str, str] = {
    # -- metrics ---------------------------------------------------------------------------------
    "metrics": "Each row is a scorer, or one scorer on one subset. Higher is better, but for tied pairs. AUROC: how "
    "often an abnormal image scores above a normal one; 0.5 is chance. C-index: how often the more severe of two "
    "images scores higher, ties counting half. Tau-b: agreement of the two orders, from -1 to 1. Below each value "
    "stands its 95 % interval: how far it would move with other images of the same kind. Intervals that overlap do not "
    "by themselves show that two scorers are equal. Where rows of made-up scorers stand at the end: a C-index at the "
    "level of perfect detection with severity at random can be had without any sense of severity.",
    "bench": "One block for each subset and for each average over subsets; in a block one row a scorer, values times "
    "100, their 95 % intervals below. Higher is better. An average gives each subset the same weight, however many "
    "images it has. A failed image has no score and enters no value, so look at the column of images with a score "
    "before you compare: rows on different images do not compare.",
    "intervals": "Each row is a run: the dot is its value, the line its 95 % interval, which says how far the value "
    "would move with other images of the same kind. To the right is better. Two intervals that overlap do not show "
    "that two runs are equal: the difference on the same images says more. A dotted line is what perfect detection "
    "with severity at random reaches.",
    "difference": "Each row is a metric: the first scorer minus the second, on the same images. Right of 0 the first "
    "is better, left of 0 the second. The line is a 95 % interval; one that holds 0 does not tell the two apart. A "
    "difference can be certain and still too small to matter.",
    # -- scores against levels -------------------------------------------------------------------
    "raincloud": "Each point is an image, placed by its severity level and its score: to the right more severe, "
    "upwards a higher score. A scorer that follows severity climbs from left to right. The box holds the middle half "
    "of a level and its line is the median; the shape beside it shows where scores gather. Look at how far "
    "neighbouring levels overlap: there the score cannot tell them apart. Raw scores of different scorers have "
    "different units, so their heights do not compare.",
    "matrix": "Each cell takes two levels, the less severe in the row, the more severe in the column, and says how "
    "often the more severe image scores higher. 1 is always, 0.5 is chance, below 0.5 the order is reversed. The row "
    "of L0 is detection, the other cells are severity alone. A high C-index can hide a cell near 0.5, most often "
    "between neighbouring levels.",
    "ranks": "Each point is an image: to the right it ranks higher by the first scorer, upwards by the second; 0 is "
    "the lowest score, 100 the highest. On the dotted line they agree; the further off, the more they disagree. Far "
    "off, the colour, which is the level, shows which of them is nearer to the label. Ranks say nothing about how much "
    "higher a score is.",
    "strip": "Each row is a level with the scores of its images; to the right a higher score. The vertical line is "
    "this image. Where it crosses the thick part of a row, images of that level score alike; where rows overlap, the "
    "score alone does not settle the level. The level of the nearest median is a hint, not a verdict.",
    "distribution": "How a language model spreads its answer over the scores 0 to 100: the higher a bar, the more "
    "probable that score. The expected score is the mean of them all, with its standard deviation after the ±; the "
    "written score is what the model wrote. The areas behind are the bands of the rubric. One narrow peak means that "
    "the model is sure, not that it is right.",
    # -- anomaly maps ----------------------------------------------------------------------------
    "map": "Bright places look strange to the scorer. The colour bar says what a colour is worth; it is the same for "
    "all images of a run in a subset, so two images compare, but not two scorers. Unless you move it, the contour "
    "stands where one in 200 pixels of the normal test images lies above it. The dashed outline is the defect as the "
    "dataset marks it, where it does. Bright says how unusual a place looks, not how bad it is. With Stretch this "
    "image on, colours hold for this image only.",
    "reductions": "Each row is a way to make one score of an anomaly map. Left panel: order of severity among abnormal "
    "images; right is better, 0.5 is chance. Second panel: how far the score follows the area of the defect, from -1 "
    "to 1; 0 is not at all, and right is not better. The pale panels hold the same metrics as the table, normal images "
    "included. A way that follows area is right only where the larger defect is the worse one. Lines are 95 % "
    "intervals.",
    # -- audit -----------------------------------------------------------------------------------
    "audit": "Alpha says how far reviewers agree beyond chance: 1 is full agreement, 0 is chance. Kappa says the same "
    "of one reviewer and the labels, an error of two levels counting four times as much as one of one. Bias is how "
    "many levels a reviewer stands above the others on the same images; negative is below. Labels change by the rule "
    "that is named; a contested label is one on which reviewers differ. Agreement does not show that the reviewers are "
    "right.",
    "alpha": "How far all reviewers agree beyond chance, on images that two or more of them rated. 1 is full "
    "agreement, 0 what chance gives, below 0 less than chance. A step between levels that are often given counts more "
    "than one between rare ones. High agreement does not show that the reviewers are right: they may share an error.",
    "kappa": "Each row is two reviewers, or a reviewer and the labels. To the right they agree more: 1 is full "
    "agreement, 0 what chance gives, below 0 less than chance. An error of two levels counts four times as much as one "
    "of one level. Where nearly all images have one level, kappa can be low although the two seldom differ.",
    "ratings": "How many images the one of the rows gave a level (row) and the one of the columns another (column). On "
    "the diagonal both agree. Right of it the one of the columns gave the higher level, left of it the lower one. Rows "
    "with many images say more than those with few.",
    "bias": "Bias is how many levels a reviewer stands above the others (or the labels, where the column says so), on "
    "average over the same images; negative is below. Drift is how that changes over 100 ratings. An interval that "
    "holds 0 tells of neither. Who differs from the others is not therefore wrong.",
    "order": "Each point is an image, the least severe at the left; upwards reviewers found it worse. The line is a 95 "
    "% interval: the order of two images whose lines overlap widely is open. Heights are on the scale of logits: two "
    "images 1 apart are told apart rightly in 73 of 100 comparisons. Only more comparisons narrow the lines.",
    "consequence": "Two rows a metric: the scorer on the original labels, and on the audited ones. To the right is "
    "better; lines are 95 % intervals. Both rows rest on the same images, so even a small step is due to the corrected "
    "labels alone. But labels that scorers contradict were looked at first, and that favours these scorers: images "
    "reviewed in random order are the fair check.",
    "suspicion": "Suspicion runs from 0, nothing speaks against the label, to 1. It is the weighted mean of what is "
    "known: how likely the scores make another level, how far the scorers agree on that, how far off it is, copies and "
    "look-alikes with another label, and reviewers who gave another one. It says where to look first, not that a label "
    "is wrong.",
    # -- the report alone ------------------------------------------------------------------------
    "counts": "Each bar is a subset and split, its parts the severity levels; the longer a part, the more images. "
    "Scorers are fitted to training images, and metrics count test images only. Where levels have very different "
    "numbers of images, the larger ones weigh more in the C-index and tau-b.",
    "strips": "A rank is the place among the images of a subset: 0 is the lowest, 100 the highest. Best: rank by score "
    "and rank by severity level lie close together. Worst: they lie furthest apart. Contested: two scorers, the "
    "scorers and the label, or reviewers lie apart. At the right of a picture stands the image under anomaly maps; "
    "bright places are strange to the scorer, on one colour range for the whole run. A worst image may be an error of "
    "the scorer or of its label.",
}
"""What to look at and what not to conclude, by the name of the plot or table."""

STUDY_FIGURES: Mapping[str, Mapping[str, str]] = {
    "robustness": {
        "* against strength": "One panel a kind of corruption, one line a scorer. To the right the images are spoilt "
        "more, 0 is clean; upwards is better. Guessing is 0.5, for tau-b 0. A level line does not care; a falling one "
        "loses what the title says. Lines around a point are 95 % intervals. The same strength of two corruptions is "
        "not the same harm, so compare lines within a panel.",
        "Detection of each level*": "One line a severity level, averaged over the scorers: how often its images score "
        "above normal ones that are spoilt alike. 1 is always, 0.5 is guessing. The line that falls first is the level "
        "that is lost first. A line above another one at the left only says that its level is easier to see.",
        "One image under *": "Move the slider: the image at each strength, and beside it what each scorer sees. Bright "
        "places look strange to the scorer; its colours mean the same at every strength, but not for another scorer. "
        "One image is an example, not evidence.",
    },
    "correspondence": {
        "Detection and order among abnormal images": "Each point is a scorer on a subset. To the right it tells normal "
        "from abnormal better, upwards it orders abnormal images better by severity. On the dotted line the order is "
        "random. A point at the far right near that line detects well and knows nothing of severity. Lines around a "
        "point are 95 % intervals.",
        "Detection and C-index": "Each point is a scorer on a subset. To the right it tells normal from abnormal "
        "better, upwards its C-index over all images is higher. That counts pairs of a normal and an abnormal image "
        "too, so it rises with detection by itself: the dotted line is what a scorer reaches that orders severity at "
        "random. Only the height above that line is a sense of severity.",
        "Places of the scorers": "Left the places in detection, right those in order of severity; the best at the top. "
        "A line that falls is a scorer with a better place in detection than in order. Places hide distances: look at "
        "the values, two places may differ by next to nothing.",
    },
    "area": {
        "What each scorer follows": "Each row is a scorer. Left panel: how well it follows levels by risk; right: "
        "levels with as many images each that follow the area alone. Further to the right is closer, 0.5 is chance. "
        "Further right in the right panel than in the left one, it measures size. Risk and area may go together, then "
        "both are high.",
        "What is left at fixed area*": "Each row is a scorer. Left panel: the order of severity that is left when area "
        "is held fixed; right: whether larger defects of one level score higher. 0 is none in both. A scorer of "
        "severity lies far right in the left panel, and near 0 in the right one.",
        "How much of the order*": "Each row is a scorer: the share of its order of severity that goes when area is "
        "held fixed. 1: area explains all of it; 0: none; below 0: area hides some of it. A scorer whose order is not "
        "clear has no value, for there is nothing to explain.",
        "Area of each level": "Each point is an abnormal image: to the right a larger defect, rows are levels by risk. "
        "Where rows lie under each other, area cannot tell their levels apart; where they move to the right with the "
        "level, area alone orders severity. The height within a row means nothing.",
    },
    "level-mix": {
        "Test set and field*": "Two rows a scorer: with the test set's shares of levels, and with those of the field. "
        "Right is better. The scores are the same in both rows: only how often each pair of levels counts has changed, "
        "so neither row makes a scorer better. Lines are 95 % intervals.",
        "Cost in the test set*": "Two rows a scorer: with the test set's shares of levels, and with the field's. "
        "Left is better. The cuts are the same in both rows; where normal images abound, mistakes with severe ones "
        "weigh less and false alarms more. Lines are 95 % intervals.",
        "AUROC of each level*": "One panel a level: how often its images score above normal ones; right is better, 0.5 "
        "is chance. The shares of the levels have no part in it, so these values hold for the field as well, as far as "
        "its images are like those of the test set.",
    },
    "decisions": {
        "Ways to place cuts": "Each row is a scorer with cuts placed in one way. Kappa: agreement of called and true "
        "levels, right is better, 1 is full and 0 chance. Cost: left is better. Called so: the share of images called "
        "their level, right is better. The three need not agree: cuts of the lowest cost may call many images too "
        "severe, because that is cheaper than a miss.",
        "Missed of each level": "The share of images of a level that pass as normal, at a cut that stops no more of "
        "the normals set aside than was allowed. Left is better, 0 is none. Lines are 95 % intervals: with few images "
        "even 0 missed leaves room for misses.",
        "Intervals of the level": "Left panel: how many images have their level within the interval that was given; at "
        "the dotted line or right of it the promise is kept. Right panel: how many levels such an interval leaves open "
        "on average; left is better, 1 settles the level. An interval that leaves all levels open keeps any promise.",
        "Called levels: *": "Rows are the true level, columns what images are called; numbers are images, and the "
        "stronger the colour, the larger the share of the row. On the diagonal the call is right, left of it too mild, "
        "right of it too severe. Compare shares of a row, since levels have different numbers of images.",
    },
    "hybrid": {
        "* over weights": "To the right the detector counts more: at 0 the model decides alone, at 1 the detector. "
        "Upwards is better. A curve higher in the middle than at both ends says that each knows what the other does "
        "not. Its highest point was found on the same images and flatters the blend; the sentence above does not use "
        "it.",
    },
    "ablation": {
        "C-index*": "Each row is the question asked in one way, the first as it was chosen. To the right severity is "
        "ordered better over all images, normal ones included; the dotted line is an order at random. Lines are 95 % "
        "intervals.",
        "Order of severity*": "Each row is the question asked in one way. To the right the abnormal images are ordered "
        "better by severity: whether the model knows how bad, not only whether. At the dotted line the order is "
        "random, left of it reversed. Lines are 95 % intervals.",
        "What is lost*": "How much of the C-index goes when a part is left out or changed. Right of 0 the part helps, "
        "left of 0 it harms. A line that holds 0 does not show that the part brings anything; it does not show that it "
        "brings nothing either.",
    },
    "separability": {
        "Separation of each subset": "Each row is a subset, no scorer is asked. Left: how well a weighted sum of the "
        "features, taught on other images, orders the levels; right is better, 0.5 is chance. Middle: the silhouette; "
        "1 is far apart, 0 overlap, below 0 images lie nearer to another level. Right: how much farther images of "
        "different levels lie from each other than those of one level; 1 is no farther. Levels can lie in order "
        "without lying apart, then only the left panel is high.",
        "Distance between *": "One panel a subset, one cell for two levels: how much farther their images lie from "
        "each other than images of one level do. 1 is no farther, above 1 the levels lie apart, and in brackets the 95 "
        "% interval holds 1. High values mean that these features tell the levels apart; whether a scorer uses that is "
        "another question.",
        "Silhouette of each level": "One panel a subset, one row a level. Right of 0 its images lie nearer to each "
        "other than to the next level, at 0 levels overlap, left of 0 they lie nearer to another level. Lines are 95 % "
        "intervals. Values far below 1 are usual: levels are steps on one scale, not separate kinds.",
    },
    "cost": {
        "* and speed on *": "Each point is a scorer. To the right it is faster, each step of the scale a multiple; "
        "upwards it is better. Full points are on the front: no other is as good in both and better in one. Lines are "
        "95 % intervals: where they overlap widely, the faster one may serve as well. Speeds hold for this device "
        "only.",
        "Cost besides": "Each row is a scorer, each panel a cost; left is cheaper. Memory is the highest use of the "
        "whole process, libraries included, so even the smallest scorer needs some.",
    },
}
"""Of each study's figures how to read them, by a pattern of their titles."""


def of_figure(study: str, title: str) -> str:
    """How to read a figure of a study; empty where nothing is said of it."""
    texts = STUDY_FIGURES.get(study, {})
    return next((text for pattern, text in texts.items() if fnmatchcase(title, pattern)), "")
