#!/bin/sh
# The project's Node, which here says that it is an old one.
case ${1-} in
  -v | --version)
    echo v20.19.0
    exit
    ;;
esac
exec /opt/lab/node --require /etc/lab/node20.cjs "$@"
