"""A Flask page with a template, as small sites have them."""

from flask import Flask, render_template_string

application = Flask(__name__)

PAGE = """<!doctype html><title>{{ title }}</title>
<ul>{% for name in names %}<li>{{ name }}</li>{% endfor %}</ul>"""


@application.route("/")
def page():
    return render_template_string(
        PAGE, title="Members", names=["Ada", "Brian", "Grace"]
    )
