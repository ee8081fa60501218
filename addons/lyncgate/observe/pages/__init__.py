"""Pages about sign-ins, on the admin listener: rendered here, with no build step and nothing from elsewhere.

    site       Pages: all of them, for observe.admin
    base       what every page has: security headers, allowed hosts, theme
    signins    the list, and its live updates
    signin     one sign-in, its exports
    findings   the catalogue
    filters    what the list's URL says
    drawing    scale, bars and hops as SVG
    words      what templates call things

They work without JavaScript; with it they update by themselves. A page's URL is all of its state.
"""
