"""`python -m gristmill orders.py -o orders.wasm`: the same as `gristmill-build`."""

import sys

from gristmill.build import main

sys.exit(main())
