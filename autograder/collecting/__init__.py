"""What was uploaded becomes submissions: the person and the chapter are read from the upload's name.

In: downloaded/. Out: submitted/.
"""

# The part before the first "_" is the student, the chapter's name ends the file's; what browsers and learning platforms
# put between and behind does not matter: ada_ch01_quantization (1).ipynb,
# ada_4711_assignsubmission_file_ch01_quantization.ipynb, ada_2026-11-23-10-15-00_ch01_quantization.ipynb, or a folder
# or zip named ada_anything that holds ch01_quantization.ipynb or Colab's "Copy of ch01_quantization.ipynb".
NAMED = (
    r".*/extracted/(?:.*/)?(?:Copy of )*(?!ch\d\d_)(?P<student_id>[^/_]+)_(?:.*[_/ ])?"
    r"(?:(?P<timestamp>\d{4}(?:-\d\d){5})_)?(?P<file_id>ch\d\d_[a-z0-9_]+?)(?: ?\(\d+\)| copy)?\.ipynb$"
)
