"""How far a blurred image lies from the mean of the blurred normals."""

import mad_core as mad


@mad.scorer(
    "blurred-mean",
    title="Blurred mean",
    family="example",
    summary="Compares an image, blurred, with the mean of the normals. It wants parts that lie alike.",
    parameters=[mad.Parameter("radius", "float", 2.0, "Blur before images are compared, pixels.", 0, 20)],
)
def blurred_mean(normals, radius):
    import numpy as np
    from PIL import Image, ImageFilter  # the web process reads this module too: heavy imports wait for the work

    def blurred(image):
        small = Image.fromarray(image).resize((128, 128))
        return np.asarray(small.filter(ImageFilter.GaussianBlur(radius)), np.float32)

    mean = np.mean([blurred(image) for image in normals], axis=0)

    def score(image):
        distance = np.abs(blurred(image) - mean).mean(axis=2)
        return float(np.sort(distance.ravel())[-distance.size // 20 :].mean()), distance

    return score
