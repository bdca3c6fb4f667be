"""Chips of the astronaut photo by dlib and OpenCV, for tests/agreement/align.rs.

The photo is `skimage.data.astronaut()` (NASA, public domain), cut to the head. Written to OUT: astronaut.png,
astronaut.json (landmarks, OpenCV's matrix), dlib-150.png (dlib's get_face_chip), dlib-150-large.png (the same of the
photo with every pixel made 3 x 3, which dlib shrinks), eyes-lip-180.png (OpenCV's warpAffine).

Usage: align.py FOLDER_OF_DAT_FILES OUT      (dlib-bin 20.0.1, opencv-python-headless 4, scikit-image)
"""

import json
import sys

import cv2
import dlib
import numpy as np
import skimage

LEFT, TOP, WIDTH, HEIGHT = 120, 10, 220, 240
# OpenFace's mean face (Amos et al. 2016): landmarks 39, 42, 57, and the least and greatest x and y of all 68.
PLACES = np.array([[0.403718978315, 0.33867711083], [0.631326076346, 0.334136672344], [0.525398405766, 0.841706377792]])
LEAST, GREATEST = np.array([0.0792396913815, 0.182360984545]), np.array([0.971193274221, 1.06080371126])


def main(models, out):
    photo = np.ascontiguousarray(skimage.data.astronaut()[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH])
    (box,) = dlib.get_frontal_face_detector()(photo, 0)
    five, all68 = (dlib.shape_predictor(f"{models}/shape_predictor_{n}_face_landmarks.dat")(photo, box) for n in (5, 68))
    write = lambda name, image: cv2.imwrite(f"{out}/{name}.png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write("astronaut", photo)
    write("dlib-150", dlib.get_face_chip(photo, five, size=150, padding=0.25))
    large = photo.repeat(3, axis=0).repeat(3, axis=1)
    grown = dlib.full_object_detection(box, [dlib.point(3 * p.x + 1, 3 * p.y + 1) for p in five.parts()])
    write("dlib-150-large", dlib.get_face_chip(large, grown, size=150, padding=0.25))
    points = [[[p.x, p.y] for p in shape.parts()] for shape in (five, all68)]
    places = (PLACES - LEAST) / (GREATEST - LEAST)
    print("eyes-lip places", places.round(6).tolist())
    matrix = cv2.getAffineTransform(np.float32(points[1])[[39, 42, 57]], np.float32(places * 180))
    write("eyes-lip-180", cv2.warpAffine(photo, matrix, (180, 180)))
    edges = [box.left(), box.top(), box.right(), box.bottom()]
    with open(f"{out}/astronaut.json", "w") as file:
        json.dump({"box": edges, "dlib5": points[0], "ibug68": points[1], "eyes_lip": matrix.ravel().tolist()}, file)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
