"""How good a result is: masks against a truth, models on phantoms and on real scans."""
