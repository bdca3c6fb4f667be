"""dlib's frontal face detector (PyPI dlib-bin 20.0.1), as dlib saves it.

Usage: hog.py OUT.svm
"""

import sys

import dlib

if __name__ == "__main__":
    dlib.get_frontal_face_detector().save(sys.argv[1])
