# All tools, with PyTorch and CUDA: about 8 GB. In a copy of the repository:
#     docker build -f examples/containers/full.Dockerfile -t kdtools .
#     docker run --rm --gpus all --ipc host --user "$(id -u):$(id -g)" -v "$PWD:/data" kdtools kd-student train.h5 ...
FROM python:3.11-slim
WORKDIR /opt/kdtools
COPY pyproject.toml README.md LICENSE ./
COPY man man
COPY completions completions
COPY kdtools kdtools
# The headless OpenCV needs no libGL, which the image lacks; both lie in the same folder, so the other one goes first.
RUN pip install --no-cache-dir . && pip uninstall -y opencv-python \
    && pip install --no-cache-dir 'opencv-python-headless>=4.11,<5'
WORKDIR /data
ENV HOME=/tmp
CMD ["kd-student", "--help"]
