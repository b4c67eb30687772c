# The course with all that grading needs: docker build -t compression .
#
# Grading makes walls inside the container, which Docker forbids by default:
#   docker run --rm -it --privileged -v "$PWD/submitted:/course/submitted" compression make grade
# Without --privileged everything works but the walls; grading then says so and grades nobody, unless
# --TwoKernels.sandbox=False says that learners' code may run with the container's rights.
FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap chromium git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /course
COPY . .
RUN make .make/ready
CMD ["make"]
